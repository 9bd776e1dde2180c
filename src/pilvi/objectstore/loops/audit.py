"""Reads everything back, slowly, and puts aside what is not as it was written; replication brings the copy that takes its place."""
from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

from pilvi.core.reconcile import repaired
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.disk import read_chunk, read_record
from pilvi.objectstore.node.record import CHUNK_BYTES, Broken, Kind, mtime


async def audit(work: Work) -> None:
    """One round over all files and databases, at most so many bytes a second."""
    for device in work.devices():
        for folder, _, _ in work.folders(): await audit_objects(work, device, folder)
        for kind in ("container", "account"):
            for partition, hashed in await work.run(device.databases(kind).all):
                if not await work.run(_sound, device, kind, partition, hashed):
                    await work.run(device.databases(kind).quarantine, partition, hashed)
                    repaired("audit", "quarantine", device=device.name, database=hashed)


async def audit_objects(work: Work, device: LocalDevice, folder: str) -> None:
    """All files of a policy on a device."""
    rate = max(1, work.options.audit_bytes_per_second)
    debt = 0
    for partition in await work.run(device.disk.partitions, folder):
        for name in await work.run(device.disk.manifest, folder, partition):
            try: debt += await work.run(check, device, folder, partition, name)
            except (Broken, OSError) as failure:
                device.disk.quarantine(folder, partition, name)
                repaired("audit", "quarantine", device=device.name, file=name, reason=str(failure))
            if debt > rate / 10:
                await asyncio.sleep(debt / rate)
                debt = 0


def check(device: LocalDevice, folder: str, partition: int, name: str) -> int:
    """Reads a file; how many bytes. Raises Broken."""
    try: descriptor = os.open(device.disk.file(folder, partition, name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError: return 0
    try:
        record, _ = read_record(descriptor)
        for number in range(-(-record.length // CHUNK_BYTES)): read_chunk(descriptor, record, number)
        if os.fstat(descriptor).st_mtime_ns != mtime(record.timestamp, Kind(record.kind)): raise Broken("its time is not its timestamp")
        return record.length + 4096
    finally: os.close(descriptor)


def _sound(device: LocalDevice, kind: str, partition: int, hashed: str) -> bool:
    """Looked at by a connection of its own, so that nobody waits for it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(device.databases(kind).path(partition, hashed))}?mode=ro", uri=True)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError: return True  # it's gone, or busy: the next round
    except sqlite3.DatabaseError: return False
