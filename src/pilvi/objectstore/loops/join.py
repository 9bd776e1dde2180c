"""Keeps this process in step with the rings: takes newer ones, gives them to other nodes, opens the devices they name here."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from pilvi.core.errors import Failure
from pilvi.core.reconcile import repaired
from pilvi.objectstore.cluster.members import down
from pilvi.objectstore.cluster.rings import RingFiles
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.device import DeviceInUse, LocalDevice

LOG = structlog.get_logger()


class Join:
    """A loop, with the files it works on."""

    def __init__(self, directory: Path, rings: RingFiles) -> None:
        self._directory, self._rings = directory, rings

    async def __call__(self, work: Work) -> None:
        """One round."""
        await work.run(self._rings.reload)
        await work.run(self.adopt, work)
        mine = self._rings.versions()
        for device in self._rings.others():
            node: Any = work.members.node(device)
            if node is work.node or work.members.suspected(device): continue
            try:
                theirs = await node.ring_versions()
                for name, version in mine.items():
                    if theirs.get(name, 0) < version: await node.send_ring(name, self._rings.content(name))
            except Failure as failure:
                if not down(failure): raise

    def adopt(self, work: Work) -> None:
        """Opens devices that rings name here; opens one anew whose directory was taken away or emptied, so that it's filled again."""
        node, members = work.node, work.members
        named = {device.name for ring in members.rings.values() for device in ring.devices
                 if device is not None and device.node == members.own}
        for name in named | set(node.devices):
            there = node.devices.get(name)
            if there is not None and not there.lost(): continue
            if there is not None:
                del node.devices[name]
                there.close()
                repaired("join", "device anew", device=name)
            try: node.devices[name] = LocalDevice(name, self._directory / "devices" / name, work.options.reserve_bytes, members.powers())
            except (DeviceInUse, OSError) as failure: LOG.error("device cannot be opened", device=name, reason=str(failure))
