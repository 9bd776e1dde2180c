"""A container's database: its objects' rows, its facts, and how copies of it are merged. Synchronous.

A row has three timestamps, each newest-wins by itself: of the data (or of its deletion), of the content type, of the last POST.
"""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import structs

from pilvi.objectstore.node import database
from pilvi.objectstore.node import plan as plans
from pilvi.objectstore.node.database import Handle, Info, merge_metadata, merge_rows, merge_together, save_put, take_times
from pilvi.objectstore.node.interface import (
    ContainerStat,
    ListQuery,
    Moved,
    NoContainer,
    NotEmpty,
    ObjectEntry,
    Outdated,
    PolicyDiffers,
    Subdir,
)
from pilvi.objectstore.node.listing import page, touches
from pilvi.objectstore.node.plan import Plan

SCHEMA = """CREATE TABLE row (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, timestamp INTEGER NOT NULL,
            deleted INTEGER NOT NULL, size INTEGER, etag TEXT, content_type TEXT, type_at INTEGER, posted INTEGER, policy INTEGER);
            CREATE UNIQUE INDEX row_name ON row (name);
            CREATE TABLE total (objects INTEGER, size INTEGER, misplaced INTEGER);
            INSERT INTO total VALUES (0, 0, 0);"""
COLUMNS = "name, timestamp, deleted, size, etag, content_type, type_at, posted, policy"


class ObjectRow(NamedTuple):
    """What a container is told of an object."""
    name: str
    timestamp: int
    deleted: int
    size: int = 0
    etag: str = ""
    content_type: str = ""
    type_at: int = 0
    posted: int = 0
    policy: int = 0


def newest(old: ObjectRow, new: ObjectRow) -> ObjectRow:
    """Both merged."""
    later, earlier = (new, old) if (new.timestamp, new.deleted) > (old.timestamp, old.deleted) else (old, new)
    posted, content_type, type_at = later.posted, later.content_type, later.type_at
    if earlier.posted > max(posted, later.timestamp): posted = earlier.posted
    if earlier.type_at > max(type_at, later.timestamp): content_type, type_at = earlier.content_type, earlier.type_at
    return later._replace(posted=posted, content_type=content_type, type_at=type_at)


def put(handle: Handle, timestamp: int, metadata: Mapping[str, str], policy: int | None, default_policy: int) -> bool:
    """Makes it exist, or changes its metadata; True: it did not exist. Raises PolicyDiffers."""
    with handle.write():
        info = handle.info()
        fresh = not info.exists
        has = info.details.get("policy", 0)
        if not fresh and policy is not None and has != policy: raise PolicyDiffers(policy=has)
        if fresh:
            if timestamp <= info.deleted: raise Outdated(timestamp=info.deleted)
            info.details = {"policy": policy if policy is not None else default_policy, "policy_at": timestamp}
            info.created, info.metadata = timestamp, {n: v for n, v in info.metadata.items() if v[1] > info.deleted}
        save_put(handle, info, timestamp, metadata)
    return fresh


def post(handle: Handle, timestamp: int, metadata: Mapping[str, str]) -> None:
    """Changes its metadata. Raises NoContainer."""
    database.post(handle, timestamp, metadata, _existing)


def delete(handle: Handle, timestamp: int) -> None:
    """Raises NoContainer, NotEmpty, Outdated."""
    database.delete(handle, timestamp, _empty)


def _existing(handle: Handle) -> Info:
    info = handle.info()
    if not info.exists: raise NoContainer(timestamp=info.deleted or None)
    return info


def _empty(handle: Handle) -> Info:
    info = _existing(handle)
    if _totals(handle.connection, info)[0]: raise NotEmpty()
    return info


def _totals(db: sqlite3.Connection, info: Info) -> tuple[int, int]:
    plan = plan_of(info)
    if plan.active: return plan.totals
    objects, size = db.execute("SELECT objects, size FROM total").fetchone()
    return objects, size


def plan_of(info: Info) -> Plan:
    """How it is divided."""
    return plans.of_details(info.details, info.deleted)


def totals(handle: Handle) -> tuple[Info, int, int]:
    """(facts, objects, bytes), also of a deleted one."""
    with handle.lock:
        info = handle.info()
        return info, *_totals(handle.connection, info)


def reported(handle: Handle, said: str) -> None:
    """Its account has been told."""
    with handle.lock: handle.connection.execute("UPDATE info SET reported = ?", (said,))


def stat(handle: Handle) -> ContainerStat:
    """Raises NoContainer."""
    with handle.lock:
        info = _existing(handle)
        objects, size = _totals(handle.connection, info)
    return ContainerStat(created=info.created, changed=max(info.changed, info.created), objects=objects, size=size,
                         policy=info.details.get("policy", 0), metadata=info.shown, sharded=plan_of(info).active > 0)


def list_(handle: Handle, query: ListQuery) -> tuple[ContainerStat, list[ObjectEntry | Subdir]]:
    """A page of its objects; of a sharded one, instead, its facts with the shards where they are. Raises NoContainer."""
    def fetch(conditions: list[str], values: list[str], limit: int) -> Iterable[Sequence[Any]]:
        return handle.connection.execute(
            f"SELECT name, max(timestamp, posted), size, etag, content_type FROM row WHERE {' AND '.join([*conditions, 'deleted = 0'])} "
            f"ORDER BY name {'DESC' if query.reverse else 'ASC'} LIMIT ?", (*values, limit))

    with handle.lock:
        found = stat(handle)
        if found.sharded:
            live = plan_of(handle.info()).live
            return structs.replace(found, shards=[shard for shard in live if touches(query, shard.lower, shard.upper)]), []
        return found, [row if isinstance(row, Subdir) else ObjectEntry(*row) for row in page(query, fetch)]


def merge(handle: Handle, rows: Iterable[ObjectRow]) -> None:
    """Tells it of objects; together with other writers. A deleted container that hears of an object exists again: it wasn't empty."""
    merge_together(handle, list(rows), _merge)


def check_moved(handle: Handle, name: str) -> None:
    """Raises Moved when a shard lists that name. (Rows that come in spite of it are given on by loops/shard.py.)"""
    plan = handle.remember(plan_of)
    if plan.active: raise Moved(container=plan.owner(name))


def _merge(handle: Handle, rows: Sequence[tuple[Any, ...]]) -> None:
    db = handle.connection
    changed = merge_rows(db, COLUMNS, (ObjectRow(*row) for row in rows), ObjectRow, newest)
    if not changed: return
    objects = sum((not after.deleted) - (before is not None and not before.deleted) for before, after in changed)
    size = sum(after.size * (not after.deleted) - (before.size * (not before.deleted) if before else 0) for before, after in changed)
    if objects or size: db.execute("UPDATE total SET objects = objects + ?, size = size + ?", (objects, size))
    info = handle.info()
    if any(row.policy != info.details.get("policy", 0) for _, row in changed): db.execute("UPDATE total SET misplaced = 1")
    alive = max((row.timestamp for _, row in changed if not row.deleted), default=0)
    if alive and info.deleted >= info.created > 0: db.execute("UPDATE info SET created = ?", (max(alive, info.deleted + 1),))


def merge_info(handle: Handle, theirs: Info) -> bool:
    """Takes over what another copy knows better; True if something did change. Of two policies the one that was chosen first stays."""
    with handle.write():
        mine = handle.info()
        changed, existed = merge_metadata(mine.metadata, theirs.metadata), mine.exists
        if taken := take_times(mine, theirs):
            if "created" in taken and not existed: mine.details = {**mine.details, "policy_at": 0}
            changed = True
        ours_at, at = mine.details.get("policy_at", 0), theirs.details.get("policy_at", 0)
        if at > mine.deleted and (at < ours_at or ours_at <= mine.deleted) and at != ours_at:
            mine.details = {**mine.details, "policy": theirs.details["policy"], "policy_at": at}
            handle.connection.execute("UPDATE total SET misplaced = 1")
            changed = True
        changed |= _merge_shards(mine, theirs)
        if changed: handle.save(mine)
    return changed


def _merge_shards(mine: Info, theirs: Info) -> bool:
    """What both know of its shards, or as a shard of its container; a database that was made by a first row knows neither."""
    before, details = mine.details, dict(mine.details)
    given = plans.of_details(theirs.details, mine.deleted)
    plan = plans.merged(plan_of(mine), given)
    if plan != plan_of(mine): details["plan"] = plans.to_details(plan)
    for name in ("root", "parent"):
        if name in theirs.details: details.setdefault(name, theirs.details[name])
    if retired := max(details.get("retired", 0), theirs.details.get("retired", 0)): details["retired"] = retired
    mine.details = details
    return details != before


def misplaced(handle: Handle, limit: int) -> list[ObjectRow]:
    """Rows of objects that were stored under another policy than the container's."""
    with handle.lock:
        if not handle.connection.execute("SELECT misplaced FROM total").fetchone()[0]: return []
        policy = handle.info().details.get("policy", 0)
        found = [ObjectRow(*row) for row in handle.connection.execute(
            f"SELECT {COLUMNS} FROM row WHERE policy != ? ORDER BY id LIMIT ?", (policy, limit))]
        if not found: handle.connection.execute("UPDATE total SET misplaced = 0")
        return found


def reclaim(handle: Handle, before: int) -> int:
    """Forgets rows of objects deleted, and shards replaced, before that timestamp; how many rows."""
    with handle.write() as db:
        info = handle.info()
        plan = plan_of(info)
        if ended := [name for name, shard in plan.shards.items() if 0 < shard.gone < before]:
            kept = Plan(plan.base, plan.active, {name: shard for name, shard in plan.shards.items() if name not in ended})
            info.details = {**info.details, "plan": plans.to_details(kept)}
            handle.save(info)
        return db.execute("DELETE FROM row WHERE deleted = 1 AND timestamp < ?", (before,)).rowcount
