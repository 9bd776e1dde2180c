"""What a container's database keeps of its shards, and a shard's of its container. Synchronous; each function is one transaction."""
from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.node import plan as plans
from pilvi.objectstore.node.container import COLUMNS, ObjectRow, plan_of, put
from pilvi.objectstore.node.database import Handle, Info
from pilvi.objectstore.node.plan import Plan, Shard

FILLED = "filled"


def split_names(handle: Handle, objects: int) -> list[str]:
    """The names that end each part of so many rows; none when there would be one part. Read by a connection of its own, so that nobody
    waits for it."""
    with closing(sqlite3.connect(f"file:{quote(handle.path)}?mode=ro", uri=True)) as db:
        names = [name for number, (name,) in enumerate(db.execute("SELECT name FROM row ORDER BY name"), 1) if number % objects == 0]
        if names and names[-1] == db.execute("SELECT max(name) FROM row").fetchone()[0]: names.pop()
    return names


def found(handle: Handle, at: int, policy: int, root: list[str], parent: list[str]) -> None:
    """Makes it a shard of `root`, which `parent` (root, or the shard it was cut from) is to be replaced by. Repeatable."""
    if handle.info().details.get("root") == root: return
    if not handle.info().exists: put(handle, at, {}, policy, policy)
    with handle.write():
        info = handle.info()
        info.details = {**info.details, "policy": policy, "policy_at": 1, "root": root, "parent": parent}
        handle.save(info)


def is_shard(info: Info) -> bool:
    return info.account.startswith(plans.HIDDEN)


def set_plan(handle: Handle, given: Plan) -> Plan:
    """Merges a plan into the one it has; the outcome."""
    with handle.write():
        info = handle.info()
        mine = plan_of(info)
        both = plans.merged(mine, given if given.base > info.deleted else plans.NONE)
        if both != mine: _keep(handle, info, both)
    return both


def _keep(handle: Handle, info: Info, plan: Plan) -> None:
    info.details = {**info.details, "plan": plans.to_details(plan)}
    handle.save(info)


def filled(handle: Handle, plan: Plan) -> int:
    """Up to which row its shards have been given all."""
    return handle.point(f"{FILLED}-{plan.base}")[0]


def set_filled(handle: Handle, plan: Plan, last: int) -> None:
    """Remembers that."""
    handle.set_point(f"{FILLED}-{plan.base}", last, "")


def activate(handle: Handle, base: int, counts: dict[str, tuple[int, int]]) -> bool:
    """From now on the shards, which hold so much, list the objects; not if there are rows that they have not been given."""
    with handle.write():
        info = handle.info()
        plan = plan_of(info)
        if plan.base != base or plan.active: return True
        if handle.last() > filled(handle, plan): return False
        now = time.now()
        counted = [plan.shards[name]._replace(objects=objects, size=size, counted=now) for name, (objects, size) in counts.items()]
        _keep(handle, info, Plan(plan.base, now, plan.with_shards(*counted).shards))
        return True


def replace(handle: Handle, old: str, new: list[Shard], at: int) -> bool:
    """Puts shards in the place of one; False: it is not among them."""
    with handle.write():
        info = handle.info()
        plan = plan_of(info)
        if old not in plan.shards: return False
        after = plans.replaced(plan, old, new, at)
        if after != plan: _keep(handle, info, after)
        return True


def report(handle: Handle, name: str, objects: int, size: int, at: int) -> bool:
    """A shard says how much it holds; False: it is not one of this container."""
    with handle.write():
        info = handle.info()
        plan = plan_of(info)
        if name not in plan.shards: return False
        if plan.shards[name].counted < at:
            _keep(handle, info, plan.with_shards(plan.shards[name]._replace(objects=objects, size=size, counted=at)))
        return True


def retire(handle: Handle, at: int) -> bool:
    """Nobody asks this shard any more; False while it still has rows."""
    with handle.write():
        if handle.last(): return False
        info = handle.info()
        if not info.details.get("retired"):
            info.details = {**info.details, "retired": at}
            handle.save(info)
        return True


def remove(handle: Handle, last: int) -> None:
    """Forgets the rows up to that one; the shards have them."""
    with handle.write() as db:
        objects, size = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM row WHERE id <= ? AND deleted = 0", (last,)).fetchone()
        db.execute("DELETE FROM row WHERE id <= ?", (last,))
        db.execute("UPDATE total SET objects = objects - ?, size = size - ?", (objects, size))


def rows_after(handle: Handle, point: int, limit: int) -> tuple[list[ObjectRow], int]:
    """(rows, the last one's number)"""
    changes = handle.changes(point, COLUMNS, limit)
    return [ObjectRow(*row) for row in changes.rows], changes.last


def settle(handle: Handle) -> None:
    """What was written to it survives a power cut from now on."""
    with handle.lock: handle.connection.execute("PRAGMA wal_checkpoint(FULL)")
