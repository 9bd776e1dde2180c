"""Makes missing fragments of erasure-coded objects anew, each from any k others.

The devices of a partition form a circle in the order of their fragments; each looks after its two neighbours, so every loss is found by
somebody. What lies where it should not is given to its owner, as with whole copies.
"""
from __future__ import annotations

from msgspec import structs

from pilvi.core.errors import Failure, Unavailable
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster.codec import SEGMENT_BYTES, STAGED, codec_of, fragment_name
from pilvi.objectstore.cluster.erasure_read import CodedReading
from pilvi.objectstore.cluster.members import down
from pilvi.objectstore.loops.replicate import CALL_SECONDS, newer_here, push
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import NoObject, Outdated
from pilvi.objectstore.node.record import Broken, Kind, Record, of_mtime
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring.lookup import Device, Ring

STAGED_SECONDS = 3600
"""A staged fragment that nobody has committed for so long belongs to a write that failed."""


async def reconstruct(work: Work) -> None:
    """One round over the coded policies on this process's devices."""
    for policy in work.members.policies:
        if not policy.erasure_coded: continue
        for device in work.devices():
            ring = work.members.ring_of(policy.index)
            for partition in await work.run(device.disk.partitions, policy.folder, ring.power):
                await _partition(work, device, policy, partition, ring)


async def _partition(work: Work, device: LocalDevice, policy: Policy, partition: int, ring: Ring) -> None:
    owners = ring.nodes(partition)
    mine = await work.run(device.disk.manifest, policy.folder, partition, ring.power)
    held: dict[Device, dict[str, int]] = {}
    for owner in owners:
        if work.own(owner, device): held[owner] = mine
        elif not work.members.suspected(owner):
            try: held[owner] = await work.members.call(owner, "manifest", policy.folder, partition, ring.power, seconds=CALL_SECONDS)
            except Failure as failure:
                if not down(failure): raise
    for name in sorted(mine):
        _, index, suffix = parse(name)
        if index >= len(owners): continue
        if suffix == STAGED: await _staged(work, device, policy, partition, name, mine, held)
        elif not work.own(owners[index], device): await _bring(work, device, policy, partition, name, owners[index], mine, held)
        elif not suffix:
            for other in {(index + 1) % len(owners), (index - 1) % len(owners)} - {index}:
                if owners[other] in held: await _neighbour(work, device, policy, partition, name, other, owners[other], mine, held)
        else: await _posted(work, device, policy, partition, name, owners, mine, held)


def parse(name: str) -> tuple[str, int, str]:
    """(hash, fragment, "" or ".meta" or ".new") of a file's name."""
    stem, dot, suffix = name.partition(".")
    hashed, _, index = stem.partition("-")
    return hashed, int(index or 0), dot + suffix


async def _staged(work: Work, device: LocalDevice, policy: Policy, partition: int, name: str, mine: dict[str, int],
                  held: dict[Device, dict[str, int]]) -> None:
    """Commits what others have committed; forgets what has been replaced or given up."""
    mtime = mine[name]
    timestamp, hashed = of_mtime(mtime)[0], parse(name)[0]
    newest = max((of_mtime(at)[0] for files in held.values() for other, at in files.items()
                  if other.startswith(hashed) and not other.endswith((STAGED, ".meta"))), default=0)
    if newest == timestamp:
        try: await work.run(device.disk.promote, policy.folder, partition, name.removesuffix(STAGED), timestamp)
        except (NoObject, Outdated): pass
        else: repaired("reconstruct", "commit", device=device.name, file=name)
    elif newest > timestamp or timestamp < time.now() - STAGED_SECONDS * time.TICKS:
        await work.run(device.disk.remove, policy.folder, partition, name, mtime)


async def _bring(work: Work, device: LocalDevice, policy: Policy, partition: int, name: str, owner: Device,
                 mine: dict[str, int], held: dict[Device, dict[str, int]]) -> None:
    """Gives a stray fragment to its owner, and removes it here."""
    if owner not in held: return
    if newer_here(name, mine, held[owner]) and not await push(work, device, policy.folder, partition, name, owner): return
    await work.run(device.disk.remove, policy.folder, partition, name, mine[name])


async def _neighbour(work: Work, device: LocalDevice, policy: Policy, partition: int, name: str, index: int, owner: Device,
                     mine: dict[str, int], held: dict[Device, dict[str, int]]) -> None:
    """Makes the neighbour's fragment, or tombstone, when it is older than the one here."""
    hashed = parse(name)[0]
    theirs = fragment_name(hashed, index)
    timestamp, kind = of_mtime(mine[name])
    if of_mtime(held[owner].get(theirs, 0))[0] >= timestamp: return
    try: record = await work.run(device.disk.record, policy.folder, partition, name)
    except (Broken, NoObject): return
    try:
        if kind == Kind.TOMBSTONE:
            await work.members.call(owner, "object_put", policy.folder, partition, theirs, record, b"", False, [], seconds=CALL_SECONDS)
        else: await _rebuild(work, policy, partition, theirs, index, owner, record)
    except (Outdated, NoObject): return
    except Unavailable: return  # too few fragments can be reached; the next round
    held[owner][theirs] = mine[name]
    repaired("reconstruct", "rebuild", device=f"{owner.node}/{owner.name}", file=theirs)


async def _rebuild(work: Work, policy: Policy, partition: int, name: str, index: int, owner: Device, record: Record) -> None:
    reading = CodedReading(work.members, policy, (record.account, record.container, record.name), True)
    reader = await reading.open(True, record.timestamp)
    codec = codec_of(policy)
    try:
        upload = await work.members.upload(owner, policy.folder, partition, name)
        try:
            for number in range(-(-record.size // SEGMENT_BYTES)):
                fragments = await reader.fragments(number)
                await upload.write(await work.run(codec.rebuild, fragments, index))
            await upload.commit(structs.replace(reader.record, fragment=index), False, [])
        finally: await upload.abort()
    finally: await reader.close()


async def _posted(work: Work, device: LocalDevice, policy: Policy, partition: int, name: str, owners: list[Device],
                  mine: dict[str, int], held: dict[Device, dict[str, int]]) -> None:
    """A later POST's metadata is the same for every fragment."""
    hashed, index, suffix = parse(name)
    for other in {(index + 1) % len(owners), (index - 1) % len(owners)} - {index}:
        theirs = fragment_name(hashed, other) + suffix
        here = {theirs: mine.get(name, 0)}
        if owners[other] not in held or not newer_here(theirs, here, held[owners[other]]): continue
        try:
            record = await work.run(device.disk.record, policy.folder, partition, name)
            await work.members.call(owners[other], "object_put", policy.folder, partition, theirs, record, b"", False, [],
                                    seconds=CALL_SECONDS)
        except (Broken, NoObject, Outdated, Unavailable): continue
