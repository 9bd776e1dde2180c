"""Makes all copies alike: every device compares what it holds of a partition with those that should hold it, and gives them what is newer
here; what lies where it should not (a stand-in's, or an old ring's) is given away and then removed here.

Only what is newer is sent, deletions are sent as tombstones, and nothing is removed because another does not have it.
"""
from __future__ import annotations

import asyncio
from hashlib import blake2b

import msgspec

from pilvi.core import clock
from pilvi.core.errors import Failure
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster.members import down
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node import account, container
from pilvi.objectstore.node.database import Changes, Handle, Info, Missing
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import Full, NodeDown, NoObject, Outdated
from pilvi.objectstore.node.operations import digests
from pilvi.objectstore.node.record import Broken, Kind, Record, of_mtime
from pilvi.objectstore.ring.lookup import Device, Ring

ROWS = 1000
PUSHES = 8
"""Files on their way to one device at a time."""
CALL_SECONDS = 60.0
RECLAIM_SECONDS = 1800.0


async def replicate(work: Work) -> None:
    """One round over everything on this process's devices."""
    for device in work.devices():
        for kind in ("account", "container"): await replicate_databases(work, device, kind)
        for folder, ring, coded in work.folders():
            if not coded: await replicate_objects(work, device, folder, ring)


# -- objects

async def replicate_objects(work: Work, device: LocalDevice, folder: str, ring: Ring) -> None:
    """One policy's files on a device."""
    partitions = await work.run(device.disk.partitions, folder, ring.power)
    await reclaim(work, device, folder, partitions, ring.power)
    others: dict[Device, list[int]] = {}
    for partition in partitions:
        for target in ring.nodes(partition):
            if not work.own(target, device): others.setdefault(target, []).append(partition)
    same: dict[int, int] = {}
    for target, shared in others.items():
        if work.members.suspected(target): continue
        try: theirs = await work.members.call(target, "digests", folder, shared, ring.power, seconds=CALL_SECONDS)
        except Failure as failure:
            if not down(failure): raise
            continue
        mine = await work.run(digests, device, folder, shared, ring.power)
        for partition in shared:
            if mine[partition] == theirs[partition] or await _push_partition(work, device, folder, partition, target, ring.power):
                same[partition] = same.get(partition, 0) + 1
    for partition in partitions:
        owners = ring.nodes(partition)
        if not any(work.own(target, device) for target in owners) and same.get(partition, 0) == len(owners):
            await _give_up(work, device, folder, partition, owners, ring.power)


async def _push_partition(work: Work, device: LocalDevice, folder: str, partition: int, target: Device, power: int) -> bool:
    """Sends what is newer here; True if the target then has all that is here."""
    try: theirs: dict[str, int] = await work.members.call(target, "manifest", folder, partition, power, seconds=CALL_SECONDS)
    except Failure as failure:
        if not down(failure): raise
        return False
    mine = await work.run(device.disk.manifest, folder, partition, power)
    gate = asyncio.Semaphore(PUSHES)

    async def one(name: str) -> bool:
        async with gate: return await push(work, device, folder, partition, name, target)

    newer = [name for name in mine if newer_here(name, mine, theirs)]
    return all(await asyncio.gather(*(one(name) for name in newer)))


def newer_here(name: str, mine: dict[str, int], theirs: dict[str, int]) -> bool:
    """Must the other be given this file? Not a .meta that belongs to data older than theirs."""
    here, there = of_mtime(mine[name])[0], of_mtime(theirs.get(name, 0))[0]
    if not name.endswith(".meta"): return here > there
    data = name.removesuffix(".meta")
    return here > there and here > of_mtime(theirs.get(data, 0))[0]


async def push(work: Work, device: LocalDevice, folder: str, partition: int, name: str, target: Device) -> bool:
    """Sends one file; True if the target has it, or something newer."""
    try:
        record = await work.run(device.disk.record, folder, partition, name)
        await _send(work, device, folder, partition, name, record, target)
    except (Outdated, NoObject): return True
    except Broken:
        device.disk.quarantine(folder, partition, name)
        repaired("replicate", "quarantine", device=device.name, file=name)
        return False
    except (NodeDown, Full): return False
    repaired("replicate", "push", device=device.name, to=f"{target.node}/{target.name}", file=name)
    return True


async def _send(work: Work, device: LocalDevice, folder: str, partition: int, name: str, record: Record, target: Device) -> None:
    if record.kind != Kind.DATA or not record.length:
        await work.members.call(target, "object_put", folder, partition, name, record, b"", False, [], seconds=CALL_SECONDS)
        return
    source = await work.node.open(device.name, folder, partition, name, True)
    try:
        if source.head:
            await work.members.call(target, "object_put", folder, partition, name, source.record, source.head, False, [],
                                    seconds=CALL_SECONDS)
            return
        upload = await work.members.upload(target, folder, partition, name)
        try:
            async for piece in source.read(0, source.record.length): await upload.write(piece)
            await upload.commit(source.record, False, [])
        finally: await upload.abort()
    finally: await source.close()


async def _give_up(work: Work, device: LocalDevice, folder: str, partition: int, owners: list[Device], power: int) -> None:
    """Removes here what all owners have."""
    mine = await work.run(device.disk.manifest, folder, partition, power)
    for owner in owners:
        try: theirs: dict[str, int] = await work.members.call(owner, "manifest", folder, partition, power, seconds=CALL_SECONDS)
        except Failure as failure:
            if not down(failure): raise
            return
        mine = {name: mtime for name, mtime in mine.items() if not newer_here(name, mine, theirs)}
    for name, mtime in mine.items(): await work.run(device.disk.remove, folder, partition, name, mtime)
    repaired("replicate", "give up", device=device.name, partition=partition, files=len(mine))


async def reclaim(work: Work, device: LocalDevice, folder: str, partitions: list[int], power: int) -> None:
    """From time to time."""
    key = f"{device.path}/{folder}"
    if clock.monotonic() - work.reclaimed.get(key, -RECLAIM_SECONDS) < RECLAIM_SECONDS: return
    work.reclaimed[key] = clock.monotonic()
    for partition in partitions: await work.run(_reclaim, work, device, folder, partition, power)


def _reclaim(work: Work, device: LocalDevice, folder: str, partition: int, power: int) -> None:
    """Forgets old tombstones, and metadata of data that has been replaced."""
    files = device.disk.manifest(folder, partition, power)
    old = time.now() - int(work.options.reclaim_seconds * time.TICKS)
    for name, mtime in files.items():
        timestamp, kind = of_mtime(mtime)
        data = of_mtime(files.get(name.removesuffix(".meta"), 0))
        stale = kind == Kind.POSTED and (data[0] >= timestamp or (timestamp < old and not data[0]))
        if (kind == Kind.TOMBSTONE and timestamp < old) or stale: device.disk.remove(folder, partition, name, mtime)


# -- databases

async def replicate_databases(work: Work, device: LocalDevice, kind: str) -> None:
    """All accounts or containers on a device."""
    ring = work.members.rings[kind]
    places = await work.run(device.databases(kind).all)
    told: dict[tuple[int, str], list[tuple[int, str]]] = {}
    others: dict[Device, list[tuple[int, str]]] = {}
    for place in places:
        for target in ring.nodes(place[0]):
            if not work.own(target, device): others.setdefault(target, []).append(place)
    for target, shared in others.items():
        if work.members.suspected(target): continue
        try: ids = await work.members.call(target, "database_ids", kind, shared, seconds=CALL_SECONDS)
        except Failure as failure:
            if not down(failure): raise
            continue
        for place, peer in zip(shared, ids, strict=True):
            state = await _push_database(work, device, kind, place, peer, target)
            if state: told.setdefault(place, []).append(state)
    for place in places:
        owners = ring.nodes(place[0])
        here = any(work.own(target, device) for target in owners)
        states = told.get(place, [])
        if len(states) == len(owners) - here: await work.run(_tidy_database, work, device, kind, place, [] if here else states)


async def _push_database(work: Work, device: LocalDevice, kind: str, place: tuple[int, str], peer: str,
                         target: Device) -> tuple[int, str] | None:
    """Tells a copy what is new here; (writes here until then, digest of the facts), None if that is not all."""
    try:
        databases = device.databases(kind)
        path = databases.path(*place)
        known = work.told.get((path, target))
        if known and known[:2] == (peer, databases.writes[path]): return known[2]
        handle = databases.handle(*place)
        while True:
            writes = databases.writes[path]
            changes, facts, point = await work.run(_changes, handle, kind, peer)
            if not changes.rows and facts == point:
                work.told[path, target] = (peer, writes, (writes, facts))
                return writes, facts
            peer = await work.members.call(target, "database_merge", kind, *place, changes.info, changes.rows, seconds=CALL_SECONDS)
            await work.run(handle.set_point, peer, changes.last, facts)
    except Missing: return None
    except Failure as failure:
        if not down(failure): raise
        return None


def _changes(handle: Handle, kind: str, peer: str) -> tuple[Changes, str, str]:
    """(what a copy must be told, digest of the facts, the digest it was told last). Rows of a sharded one go to its shards instead."""
    point, known = handle.point(peer) if peer else (0, "")
    sharded = kind == "container" and container.plan_of(handle.info()).active
    changes = handle.changes(point, container.COLUMNS if kind == "container" else account.COLUMNS, 0 if sharded else ROWS)
    return changes, facts_of(changes.info), known


def facts_of(info: Info) -> str:
    """A digest of what copies have in common."""
    return blake2b(msgspec.json.encode([info.created, info.deleted, info.changed, info.metadata, info.details]), digest_size=8).hexdigest()


def _tidy_database(work: Work, device: LocalDevice, kind: str, place: tuple[int, str], told: list[tuple[int, str]]) -> None:
    """Removes what lies here only by chance, once all owners were `told` all; forgets what was deleted long ago."""
    databases = device.databases(kind)
    try: handle = databases.handle(*place)
    except Missing: return
    if told:
        with handle.lock:
            info = handle.info()
            if set(told) != {(databases.writes[databases.path(*place)], facts_of(info))}: return
            if kind == "container" and container.plan_of(info).active and handle.last(): return  # they are not the other copies'
            databases.forget(*place)
        repaired("replicate", "give up", device=device.name, database=place[1])
        return
    path = databases.path(*place)
    if clock.monotonic() - work.reclaimed.get(path, -RECLAIM_SECONDS) < RECLAIM_SECONDS: return
    work.reclaimed[path] = clock.monotonic()
    old = time.now() - int(work.options.reclaim_seconds * time.TICKS)
    (container if kind == "container" else account).reclaim(handle, old)
    if 0 < handle.info().ended < old and not handle.last(): databases.forget(*place)
