"""A container's database: its objects' rows, its facts, and how copies of it are merged. Synchronous.

A row has three timestamps, each newest-wins by itself: of the data (or of its deletion), of the content type, of the last POST.
"""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pilvi.objectstore.node.database import Handle, Info, merge_metadata, merge_together
from pilvi.objectstore.node.interface import ContainerStat, ListQuery, NoContainer, NotEmpty, ObjectEntry, Outdated, PolicyDiffers, Subdir
from pilvi.objectstore.node.listing import page

SCHEMA = """CREATE TABLE row (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, timestamp INTEGER NOT NULL,
            deleted INTEGER NOT NULL, size INTEGER, etag TEXT, content_type TEXT, type_at INTEGER, posted INTEGER, policy INTEGER);
            CREATE UNIQUE INDEX row_name ON row (name);
            CREATE TABLE total (objects INTEGER, size INTEGER, misplaced INTEGER);
            INSERT INTO total VALUES (0, 0, 0);"""
COLUMNS = "name, timestamp, deleted, size, etag, content_type, type_at, posted, policy"
CHUNK = 500


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
        info.changed = max(info.changed, timestamp)
        merge_metadata(info.metadata, {name: (value, timestamp) for name, value in metadata.items()})
        handle.save(info)
    return fresh


def post(handle: Handle, timestamp: int, metadata: Mapping[str, str]) -> None:
    """Changes its metadata. Raises NoContainer."""
    with handle.write():
        info = _existing(handle)
        if merge_metadata(info.metadata, {name: (value, timestamp) for name, value in metadata.items()}):
            info.changed = max(info.changed, timestamp)
            handle.save(info)


def delete(handle: Handle, timestamp: int) -> None:
    """Raises NoContainer, NotEmpty, Outdated."""
    with handle.write() as db:
        info = _existing(handle)
        if _totals(db, info)[0]: raise NotEmpty()
        if timestamp <= info.created: raise Outdated(timestamp=info.created)
        info.deleted = timestamp
        info.metadata = {name: ("", timestamp) for name in info.metadata}
        handle.save(info)


def _existing(handle: Handle) -> Info:
    info = handle.info()
    if not info.exists: raise NoContainer(timestamp=info.deleted or None)
    return info


def _totals(db: sqlite3.Connection, info: Info) -> tuple[int, int]:
    objects, size = db.execute("SELECT objects, size FROM total").fetchone()
    for shard in info.details.get("shards", ()): objects, size = objects + shard["objects"], size + shard["size"]
    return objects, size


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
                         policy=info.details.get("policy", 0), metadata=info.shown, sharded=bool(info.details.get("shards")))


def list_(handle: Handle, query: ListQuery) -> tuple[ContainerStat, list[ObjectEntry | Subdir]]:
    """A page of its objects. Raises NoContainer."""
    def fetch(conditions: list[str], values: list[str], limit: int) -> Iterable[Sequence[Any]]:
        return handle.connection.execute(
            f"SELECT name, max(timestamp, posted), size, etag, content_type FROM row WHERE {' AND '.join([*conditions, 'deleted = 0'])} "
            f"ORDER BY name {'DESC' if query.reverse else 'ASC'} LIMIT ?", (*values, limit))

    with handle.lock:
        found = stat(handle)
        return found, [row if isinstance(row, Subdir) else ObjectEntry(*row) for row in page(query, fetch)]


def merge(handle: Handle, rows: Iterable[ObjectRow]) -> None:
    """Tells it of objects; together with other writers. A deleted container that hears of an object exists again: it wasn't empty."""
    merge_together(handle, list(rows), _merge)


def _merge(handle: Handle, rows: Sequence[tuple[Any, ...]]) -> None:
    db, objects, size = handle.connection, 0, 0
    merged: dict[str, ObjectRow] = {}
    known: dict[str, ObjectRow] = {}
    for given in rows:
        row = ObjectRow(*given)
        merged[row.name] = newest(merged[row.name], row) if row.name in merged else row
    names = iter(merged)
    while chunk := list(islice(names, CHUNK)):
        marks = ",".join("?" * len(chunk))
        for found in db.execute(f"SELECT {COLUMNS} FROM row WHERE name IN ({marks})", chunk): known[found[0]] = ObjectRow(*found)
    write = []
    for name, row in merged.items():
        before = known.get(name)
        after = newest(before, row) if before else row
        if after == before: continue
        write.append(after)
        objects += (not after.deleted) - (1 if before and not before.deleted else 0)
        size += (0 if after.deleted else after.size) - (before.size if before and not before.deleted else 0)
    if not write: return
    db.executemany("DELETE FROM row WHERE name = ?", [(row.name,) for row in write if row.name in known])
    db.executemany(f"INSERT INTO row ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", write)
    if objects or size: db.execute("UPDATE total SET objects = objects + ?, size = size + ?", (objects, size))
    info = handle.info()
    if any(row.policy != info.details.get("policy", 0) for row in write): db.execute("UPDATE total SET misplaced = 1")
    created, deleted = info.created, info.deleted
    alive = max((row.timestamp for row in write if not row.deleted), default=0)
    if alive and deleted >= created > 0:
        db.execute("UPDATE info SET created = ?", (max(alive, deleted + 1),))


def merge_info(handle: Handle, theirs: Info) -> bool:
    """Takes over what another copy knows better; True if something did change. Of two policies the one that was chosen first stays."""
    with handle.write():
        mine = handle.info()
        changed = merge_metadata(mine.metadata, theirs.metadata)
        for name in ("created", "deleted", "changed"):
            if getattr(theirs, name) > getattr(mine, name):
                if name == "created" and not mine.exists: mine.details = {**mine.details, "policy_at": 0}
                setattr(mine, name, getattr(theirs, name))
                changed = True
        ours_at, at = mine.details.get("policy_at", 0), theirs.details.get("policy_at", 0)
        if at > mine.deleted and (at < ours_at or ours_at <= mine.deleted) and at != ours_at:
            mine.details = {**mine.details, "policy": theirs.details["policy"], "policy_at": at}
            handle.connection.execute("UPDATE total SET misplaced = 1")
            changed = True
        if changed: handle.save(mine)
    return changed


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
    """Forgets rows of objects deleted before that timestamp; how many."""
    with handle.write() as db:
        return db.execute("DELETE FROM row WHERE deleted = 1 AND timestamp < ?", (before,)).rowcount
