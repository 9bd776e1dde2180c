"""Divides containers that have become large, and joins shards that have become small.

A container (or a shard) first gets a **plan** on all its copies. Its leader then **fills** the planned shards with its rows, while it goes
on listing everything itself. When they have all, one transaction makes the plan **active**: from now on the shards list and are told, and
each copy of the container **sweeps** the rows that it still has, or that come by an old way, into them. A shard that was divided itself is
**replaced** in its container's plan by its parts and retires. Joining two shards is the same: both are divided into one, the same.

Every step may be done again, by anybody, at any time: rows are merged newest-wins, and a row is forgotten here only when all copies of its
shard have it on disk. A shard that no plan names (one of two leaders' plans lost, or the container was deleted) gives its rows
back.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from pilvi.core import clock
from pilvi.core.errors import Unavailable
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster import databases
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node import container, plan
from pilvi.objectstore.node import shard as shards
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.database import Handle, Info, Missing
from pilvi.objectstore.node.interface import ContainerStat, NoContainer
from pilvi.objectstore.node.plan import Plan, Shard

ROWS = 2000
REST_SECONDS = 60.0
"""After so long a shard looks whether it is still wanted."""
SMALL = 4
"""Two neighbours that together hold less than a SMALLth of what divides a container are joined."""


async def shard(work: Work) -> None:
    """One round over the containers on this process's devices."""
    ring = work.members.rings["container"]
    for device in work.devices():
        for place in await work.run(device.containers.all):
            path, leads = device.containers.path(*place), work.leads(ring, place[0])
            writes = device.containers.writes[path]
            rested = work.rested.get(path)
            if rested and rested[:2] == (writes, leads) and rested[2] > clock.monotonic(): continue
            try: rests = await _container(work, device.containers.handle(*place), leads)
            except (Missing, NoContainer, Unavailable): continue  # the next round
            if rests is not None: work.rested[path] = (writes, leads, clock.monotonic() + rests)


async def _container(work: Work, handle: Handle, leads: bool) -> float | None:
    """What is to be done with one; for how many seconds it need not be looked at unless it's written. Raises Missing, NoContainer,
    Unavailable."""
    info, objects, _ = await work.run(container.totals, handle)
    part, known, limit = shards.is_shard(info), container.plan_of(info), work.options.shard_objects
    retired = bool(info.details.get("retired"))
    if known.active:
        await _sweep(work, handle, info, known)
        if leads and part: await _replace(work, info, known)
        elif leads: await _join(work, info, known, limit)
        return None if part and not retired else REST_SECONDS
    looked = part and (not retired or await work.run(lambda: handle.last() > 0))
    if looked and not await _wanted(work, info): await _give_back(work, handle, info)
    elif not leads or retired: return REST_SECONDS if part else float("inf")
    elif known.base: await _fill(work, handle, info, known)
    elif 0 < limit < objects and info.exists: await _divide(work, handle, info, limit)
    else: return REST_SECONDS if part else float("inf")
    return None


def _home(info: Info) -> tuple[str, list[str]]:
    """(account of its shards, the container they are all parts of)"""
    return plan.shard_account(info.account), info.details.get("root") or [info.account, info.container]


async def _divide(work: Work, handle: Handle, info: Info, limit: int) -> None:
    """Makes a plan and begins."""
    names = await work.run(shards.split_names, handle, max(1, limit // 2))
    if not names: return
    drafted = plan.draft(names, _home(info)[1][1], time.now())
    known = await _agree(work, info.account, info.container, drafted)
    repaired("shard", "divide", account=info.account, container=info.container, shards=len(known.shards))
    await _fill(work, handle, info, known)


async def _agree(work: Work, account: str, name: str, drafted: Plan) -> Plan:
    """Gives all copies a plan; what they have then."""
    known = drafted
    for told in await databases.everywhere(work.members, (account, name), "shard_plan", drafted): known = plan.merged(known, told)
    return known


async def _make(work: Work, info: Info, known: Plan) -> None:
    account, root = _home(info)
    for one in known.live:
        await databases.everywhere(work.members, (account, one.name), "shard_make", account, one.name, known.base,
                                   info.details.get("policy", 0), root, [info.account, info.container])


async def _fill(work: Work, handle: Handle, info: Info, known: Plan) -> None:
    """Gives the shards all rows, from where it ended the last time; then they take over."""
    await _make(work, info, known)
    account, _ = _home(info)
    while True:
        rows, last = await work.run(lambda: shards.rows_after(handle, shards.filled(handle, known), ROWS))
        if rows:
            await _give(work, account, known, rows)
            await work.run(shards.set_filled, handle, known, last)
            continue
        for one in known.live: await databases.everywhere(work.members, (account, one.name), "shard_take", [], True)
        counts: dict[str, tuple[int, int]] = {}
        for one in known.live:
            stat: ContainerStat = await databases.read(work.members, "container", (account, one.name), "container_stat")
            counts[one.name] = stat.objects, stat.size
        if await work.run(shards.activate, handle, known.base, counts): break
    active = container.plan_of(await work.run(handle.info))
    if not active.active: return  # another plan has won meanwhile
    repaired("shard", "activate", account=info.account, container=info.container, shards=len(active.live))
    await databases.write(work.members, "container", (info.account, info.container), "shard_plan", active)
    await _sweep(work, handle, info, active)


async def _give(work: Work, account: str, known: Plan, rows: Iterable[ObjectRow]) -> set[str]:
    """Gives rows to all copies of the shards that list them; which these are."""
    by_shard: dict[str, list[ObjectRow]] = defaultdict(list)
    for row in rows: by_shard[known.owner(row.name)].append(row)
    for name, some in by_shard.items(): await databases.everywhere(work.members, (account, name), "shard_take", some, False)
    return set(by_shard)


async def _sweep(work: Work, handle: Handle, info: Info, known: Plan) -> None:
    """Rows of an active plan belong to the shards; those that this copy filled in itself are there already."""
    account, _ = _home(info)
    done = await work.run(shards.filled, handle, known)
    while True:
        rows, last = await work.run(shards.rows_after, handle, 0, ROWS)
        if not rows: return
        if last > done:
            for name in await _give(work, account, known, rows):
                await databases.everywhere(work.members, (account, name), "shard_take", [], True)
        await work.run(shards.remove, handle, last)


async def _replace(work: Work, info: Info, known: Plan) -> None:
    """Tells the container that this shard's parts have its place; when all its copies know, this one retires. So it does when nobody
    knows it: then its parts, which nobody knows either, give their rows back."""
    if info.details.get("retired"): return
    root = tuple(info.details.get("root") or ())
    if not root: return
    at = time.now()
    known_there = await databases.everywhere(work.members, root, "shard_replace", info.container, list(known.live), at)
    if not all(known_there) and await _wanted(work, info): return
    await databases.everywhere(work.members, (info.account, info.container), "shard_retire", at)
    repaired("shard", "replace", container=info.container, shards=len(known.live))


async def _join(work: Work, info: Info, known: Plan, limit: int) -> None:
    """Orders two small neighbours, if there are, to go into one."""
    pair = next(((one, other) for one, other in pairwise(known.live)
                 if one.counted and other.counted and one.objects + other.objects < limit // SMALL), None)
    if pair is None: return
    account, _ = _home(info)
    for one in pair:
        plans = await databases.everywhere(work.members, (account, one.name), "shard_known")
        if any(found.base for found in plans): return  # it's being divided, or joined
    at = time.now()
    into = Plan(at, 0, {name: Shard(name, since=at) for name in [f"{info.container}-{at}-0"]})
    for one in pair: await _agree(work, account, one.name, into)
    repaired("shard", "join", container=info.container, shards=2)


async def _wanted(work: Work, info: Info) -> bool:
    """Does the plan of its container, or of the shard that it is cut from, name it? Yes, also as long as somebody can't be asked."""
    places = {tuple(info.details[name]) for name in ("root", "parent") if name in info.details}
    for place in places:
        try: plans = await databases.everywhere(work.members, place, "shard_known")
        except NoContainer: continue
        if any(info.container in found.shards for found in plans): return True
    return not places


async def _give_back(work: Work, handle: Handle, info: Info) -> None:
    """Nobody knows this shard: this copy's rows go to the container, which gives them on if it's divided. A deleted container that so
    hears of an object exists again: it wasn't empty."""
    root = tuple(info.details["root"])
    while True:
        rows, last = await work.run(shards.rows_after, handle, 0, ROWS)
        if not rows: break
        try: await databases.everywhere(work.members, root, "shard_take", rows, True)
        except NoContainer:  # it's forgotten; then only objects matter
            if not all(row.deleted for row in rows): raise
        await work.run(shards.remove, handle, last)
    if await work.run(shards.retire, handle, time.now()): repaired("shard", "give back", container=info.container)
