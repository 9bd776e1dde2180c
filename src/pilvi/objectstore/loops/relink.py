"""Moves a device's files into the directories of the ring's present partitions, after their number was doubled, while it serves."""
from __future__ import annotations

from pilvi.core.reconcile import repaired
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.disk import refile, settle_layout


async def relink(work: Work) -> None:
    """One round over this process's devices."""
    for device in work.devices():
        for folder, ring, _ in work.folders():
            if await work.run(device.disk.layout.aim, folder, ring.power): await _folder(work, device, folder)


async def _folder(work: Work, device: LocalDevice, folder: str) -> None:
    """A round that finds nothing left to move is the last: a write that began before the first may have ended in an old place."""
    moved = 0
    for directory in await work.run(device.disk.directories, folder): moved += await work.run(refile, device.disk, folder, directory)
    if moved: repaired("relink", "move", device=device.name, folder=folder, files=moved)
    else: await work.run(settle_layout, device.disk, folder)
