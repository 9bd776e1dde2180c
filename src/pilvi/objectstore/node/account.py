"""An account's database: its containers' rows and its facts. Synchronous.

It is kept as a container's is; a row's three parts (made, deleted, counted) are each newest-wins.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pilvi.objectstore.node import database
from pilvi.objectstore.node.database import Handle, Info, merge_metadata, merge_rows, merge_together, save_put, take_times
from pilvi.objectstore.node.interface import AccountStat, ContainerEntry, ListQuery, NoAccount, Outdated, Subdir
from pilvi.objectstore.node.listing import page

SCHEMA = """CREATE TABLE row (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created INTEGER NOT NULL, deleted INTEGER NOT NULL,
            objects INTEGER, size INTEGER, counted INTEGER, policy INTEGER);
            CREATE UNIQUE INDEX row_name ON row (name);
            CREATE TABLE total (policy INTEGER PRIMARY KEY, containers INTEGER, objects INTEGER, size INTEGER);"""
COLUMNS = "name, created, deleted, objects, size, counted, policy"


class ContainerRow(NamedTuple):
    """What an account is told of a container. `counted`: when objects and size were."""
    name: str
    created: int
    deleted: int
    objects: int = 0
    size: int = 0
    counted: int = 0
    policy: int = 0

    @property
    def exists(self) -> bool:
        return self.created > self.deleted


def newest(old: ContainerRow, new: ContainerRow) -> ContainerRow:
    """Both merged."""
    counted = new if new.counted > old.counted else old
    made = new if new.created > old.created else old
    return ContainerRow(old.name, made.created, max(old.deleted, new.deleted), counted.objects, counted.size, counted.counted,
                        counted.policy)


def put(handle: Handle, timestamp: int, metadata: Mapping[str, str]) -> bool:
    """Makes it exist, or changes its metadata; True: it did not exist. Raises NoAccount(deleted=True) while it waits for the reaper."""
    with handle.write():
        info = handle.info()
        fresh = not info.exists
        if fresh and info.deleted and not info.details.get("reaped"): raise NoAccount(deleted=True)
        if fresh:
            if timestamp <= info.deleted: raise Outdated(timestamp=info.deleted)
            info.created, info.details = timestamp, {}
        save_put(handle, info, timestamp, metadata)
    return fresh


def post(handle: Handle, timestamp: int, metadata: Mapping[str, str]) -> None:
    """Changes its metadata. Raises NoAccount."""
    database.post(handle, timestamp, metadata, _existing)


def delete(handle: Handle, timestamp: int) -> None:
    """Marks it deleted: the reaper empties it. Raises NoAccount, Outdated."""
    database.delete(handle, timestamp, _existing)


def reaped(handle: Handle, deleted: int) -> None:
    """The reaper is done with it: it may be made anew."""
    with handle.write():
        info = handle.info()
        if info.deleted == deleted and not info.exists:
            info.details = {"reaped": True}
            handle.save(info)


def _existing(handle: Handle) -> Info:
    info = handle.info()
    if not info.exists: raise NoAccount(deleted=bool(info.deleted) and not info.details.get("reaped"))
    return info


def stat(handle: Handle) -> AccountStat:
    """Raises NoAccount."""
    with handle.lock:
        info = _existing(handle)
        by_policy = {row[0]: (row[1], row[2], row[3]) for row in
            handle.connection.execute("SELECT policy, containers, objects, size FROM total WHERE containers != 0 OR objects != 0")}
    sums = [sum(column) for column in zip(*by_policy.values(), strict=True)] or [0, 0, 0]
    return AccountStat(created=info.created, changed=max(info.changed, info.created), containers=sums[0], objects=sums[1], size=sums[2],
                       by_policy=by_policy, metadata=info.shown)


def list_(handle: Handle, query: ListQuery) -> tuple[AccountStat, list[ContainerEntry | Subdir]]:
    """A page of its containers. Raises NoAccount."""
    with handle.lock: return stat(handle), rows(handle, query)


def rows(handle: Handle, query: ListQuery) -> list[ContainerEntry | Subdir]:
    """The same of an account that may be deleted: for the reaper."""
    def fetch(conditions: list[str], values: list[str], limit: int) -> Iterable[Sequence[Any]]:
        return handle.connection.execute(
            f"SELECT name, created, objects, size, policy FROM row WHERE {' AND '.join([*conditions, 'created > deleted'])} "
            f"ORDER BY name {'DESC' if query.reverse else 'ASC'} LIMIT ?", (*values, limit))

    with handle.lock: return [row if isinstance(row, Subdir) else ContainerEntry(*row) for row in page(query, fetch)]


def merge(handle: Handle, given: Iterable[ContainerRow]) -> None:
    """Tells it of containers; together with other writers."""
    merge_together(handle, list(given), _merge)


def _merge(handle: Handle, given: Sequence[tuple[Any, ...]]) -> None:
    rows = (ContainerRow(*one) for one in given)
    for before, after in merge_rows(handle.connection, COLUMNS, rows, ContainerRow, newest):
        if before: _add(handle, before, -1)
        _add(handle, after, 1)


def _add(handle: Handle, row: ContainerRow, sign: int) -> None:
    if row.exists:
        handle.connection.execute(
            "INSERT INTO total VALUES (?1, ?2, ?3, ?4) ON CONFLICT (policy) DO UPDATE SET containers = containers + ?2, "
            "objects = objects + ?3, size = size + ?4", (row.policy, sign, sign * row.objects, sign * row.size))


def merge_info(handle: Handle, theirs: Info) -> bool:
    """Takes over what another copy knows better; True if something did change."""
    with handle.write():
        mine = handle.info()
        changed = merge_metadata(mine.metadata, theirs.metadata)
        if taken := take_times(mine, theirs):
            if "deleted" in taken: mine.details = {}
            changed = True
        if theirs.details.get("reaped") and theirs.deleted == mine.deleted and not mine.details.get("reaped"):
            mine.details = {"reaped": True}
            changed = True
        if changed: handle.save(mine)
    return changed


def reclaim(handle: Handle, before: int) -> int:
    """Forgets rows of containers deleted before that timestamp; how many."""
    with handle.write() as db:
        return db.execute("DELETE FROM row WHERE deleted >= created AND deleted < ?", (before,)).rowcount
