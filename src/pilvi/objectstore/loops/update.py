"""Tells containers what they could not be told at once, and accounts how much their containers hold."""
from __future__ import annotations

import os
from pathlib import Path

from pilvi.core import clock
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster import databases
from pilvi.objectstore.cluster.codec import STAGED
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node import container
from pilvi.objectstore.node.account import ContainerRow
from pilvi.objectstore.node.database import Info, Missing
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import NoAccount, NoContainer, NoObject, NoQuorum
from pilvi.objectstore.node.local import rows_of
from pilvi.objectstore.node.record import Broken, Kind
from pilvi.objectstore.node.shard import is_shard
from pilvi.objectstore.node.update import Pending, keep, read

CHECKPOINT_SECONDS = 30.0
MARGIN_SECONDS = 120.0
"""How much older than the last checkpoint a change may be and yet be told again."""


async def update(work: Work) -> None:
    """One round."""
    for device in work.devices():
        await _recover(work, device)
        for path in await work.run(lambda one: sorted(one.pending.iterdir()), device): await _tell(work, device, path)
        for partition, hashed in device.containers.take_touched(): await _report(work, device, partition, hashed)
        await work.run(_checkpoint, device)


async def _tell(work: Work, device: LocalDevice, path: Path) -> None:
    pending = await work.run(read, path)
    if pending is None:
        path.unlink(missing_ok=True)
        return
    missed = await work.teller.try_(pending.account, pending.container, pending.row, pending.copies)
    reclaimed = pending.row.deleted and pending.row.timestamp < time.now() - int(work.options.reclaim_seconds * time.TICKS)
    if not missed or reclaimed: path.unlink(missing_ok=True)
    if not missed: repaired("update", "tell", container=pending.container)


async def _report(work: Work, device: LocalDevice, partition: int, hashed: str) -> None:
    """The account's row of one container, if it has changed."""
    try:
        handle = device.containers.handle(partition, hashed)
        info, objects, size = await work.run(container.totals, handle)
    except Missing: return
    said = f"{objects} {size} {info.created} {info.deleted}"
    if info.reported == said or not (info.created or info.deleted) or info.details.get("retired"): return
    try: heard = await _tell_count(work, info, objects, size)
    except (NoAccount, NoContainer): heard = True  # it was never made, or reclaimed: nobody to tell
    except NoQuorum: heard = False
    if not heard:
        device.containers.touched.add(handle.path)
        return
    await work.run(container.reported, handle, said)


async def _tell_count(work: Work, info: Info, objects: int, size: int) -> bool:
    """To the account, or of a shard to its container; False: that doesn't know it yet. Raises NoAccount, NoContainer, NoQuorum."""
    if root := info.details.get("root"):
        told = await databases.write(work.members, "container", tuple(root), "shard_report", info.container, objects, size, time.now())
        return bool(told)
    if is_shard(info): return True  # made by a copy's rows; replication brings what it belongs to
    row = ContainerRow(info.container, info.created, info.deleted, objects, size, time.now(), info.details.get("policy", 0))
    await databases.write(work.members, "account", (info.account,), "account_merge", info.account, [row])
    return True


def _checkpoint(device: LocalDevice) -> None:
    """From time to time what was written is made durable; what changed before need not be looked at after a crash."""
    mark = device.path / "checkpoint"
    now = clock.now()
    try: then = mark.stat().st_mtime
    except FileNotFoundError: then = 0.0
    if now - then < CHECKPOINT_SECONDS: return
    device.containers.checkpoint()
    device.accounts.checkpoint()
    mark.touch()
    os.utime(mark, (now, now))


async def _recover(work: Work, device: LocalDevice) -> None:
    """After an end without goodbye: what changed since the last checkpoint is told again, and every container reports."""
    if device.recovered: return
    since = await work.run(_since, device)
    for folder, _, _ in work.folders():
        for pending in await work.run(_changed, device, folder, since):
            for account, name, row in pending:
                copies = list(range(len(work.members.rings["container"].table)))
                missed = await work.teller.try_(account, name, row, copies)
                if missed: await work.run(keep, device, Pending(account, name, row, missed))
    for place in await work.run(device.containers.all): device.containers.touched.add(device.containers.path(*place))
    device.recovered = True


def _since(device: LocalDevice) -> float:
    try: return (device.path / "checkpoint").stat().st_mtime - MARGIN_SECONDS
    except FileNotFoundError: return 0.0


def _changed(device: LocalDevice, folder: str, since: float) -> list[list[tuple[str, str, container.ObjectRow]]]:
    """Rows of the files whose inode changed since then."""
    found = []
    for partition in device.disk.directories(folder):
        with os.scandir(f"{device.disk.root}/{folder}/{partition}") as entries:
            fresh = [entry.name for entry in entries if entry.stat().st_ctime >= since]
        names = {name.removesuffix(".meta") for name in fresh if not name.endswith(STAGED)}
        for name in names:
            try:
                record = device.disk.record(folder, partition, name)
                info = None if record.kind == Kind.TOMBSTONE else device.disk.head(folder, partition, name)
            except (Broken, FileNotFoundError, NoObject): continue
            found.append(rows_of(record, folder, info if info and info.metadata_timestamp > record.timestamp else None))
    return found
