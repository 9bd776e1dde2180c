"""The SQLite file of one container or account: opened, created, written in groups, and listed. Synchronous; called in threads.

    DEVICE/{containers,accounts}/PARTITION/HASH.db

Writers that come at the same time share a transaction: each leaves its rows, and whoever gets the lock first writes those of all. The
write-ahead log is not synced at each commit: after a power cut rows may be missing, and recover.py makes them again from the objects'
files. What replication must send is found by rowid: a changed row gets a new, higher one.
"""
from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Struct

from pilvi.objectstore.node.disk import sync_folder
from pilvi.objectstore.node.interface import Outdated

OPEN_DATABASES = 128
CHUNK = 500
T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[Any, ...])
"""A row of an account or a container; its name is first."""
Existing = Callable[["Handle"], "Info"]
"""The facts of one that exists, or the failure that says why not."""
INFO = """CREATE TABLE info (id TEXT, account TEXT, container TEXT, created INTEGER DEFAULT 0, deleted INTEGER DEFAULT 0,
          changed INTEGER DEFAULT 0, metadata TEXT DEFAULT '{}', details TEXT DEFAULT '{}', reported TEXT DEFAULT '');
          CREATE TABLE sync (peer TEXT PRIMARY KEY, point INTEGER, facts TEXT) WITHOUT ROWID;"""


class Missing(Exception):
    """There is no such database here."""


class Info(Struct, kw_only=True):
    """The one row of `info`. It exists while `created` > `deleted`. `metadata`: {name: (value, timestamp)}; `details`: what else the kind
    of database keeps (policy, plan of shards), merged by its own rules."""
    id: str
    account: str
    container: str = ""
    created: int = 0
    deleted: int = 0
    changed: int = 0
    metadata: dict[str, tuple[str, int]] = {}
    details: dict[str, Any] = {}
    reported: str = ""

    @property
    def exists(self) -> bool:
        return self.created > self.deleted

    @property
    def ended(self) -> int:
        """When it was deleted, or retired as a shard; 0: it was not."""
        return int(self.details.get("retired", 0)) or (0 if self.exists else self.deleted)

    @property
    def shown(self) -> dict[str, str]:
        """The metadata that is set."""
        return {name: value for name, (value, _) in self.metadata.items() if value}


class Changes(NamedTuple):
    """What one database tells another copy of itself: who it is, its facts, and rows after a point."""
    info: Info
    rows: list[tuple[Any, ...]]
    last: int


class Handle:
    """A database that is open, or is opened when it's used. `lock` guards the connection; `waiting` are rows that writers left."""

    def __init__(self, path: str, wrote: Callable[[str], None], saves: Counter[str]) -> None:
        self.path, self._wrote = path, wrote
        self.lock = threading.RLock()
        self.waiting: list[tuple[tuple[Any, ...], list[BaseException | bool]]] = []
        self.waiting_lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._saves, self._saved = saves, False
        self._memo: tuple[int, Any] | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """To be used within the lock. Raises Missing when the file is gone."""
        if self._connection is None:
            try:
                self._connection = sqlite3.connect(f"file:{quote(self.path)}?mode=rw", uri=True, isolation_level=None,
                                                   check_same_thread=False, cached_statements=64)
            except sqlite3.OperationalError:
                if os.path.exists(self.path): raise
                raise Missing(self.path) from None
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000; "
                                           "PRAGMA wal_autocheckpoint=2000;")
        return self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction, alone."""
        with self.lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try: yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                self._saved = False
                raise
            self.connection.execute("COMMIT")
            if self._saved: self._saves[self.path] += 1
            self._saved = False
            self._wrote(self.path)

    def info(self) -> Info:
        """Read in the caller's lock, or alone."""
        with self.lock:
            found = self.connection.execute(
                "SELECT id, account, container, created, deleted, changed, metadata, details, reported FROM info").fetchone()
        return Info(id=found[0], account=found[1], container=found[2], created=found[3], deleted=found[4], changed=found[5],
                    metadata=_METADATA.decode(found[6]), details=msgspec.json.decode(found[7]), reported=found[8])

    def remember(self, make: Callable[[Info], T]) -> T:
        """What is made of the facts, kept until they change. It waits for no writer; always called with the same function."""
        version = self._saves[self.path]
        if self._memo is None or self._memo[0] != version: self._memo = version, make(self.info())
        return cast(T, self._memo[1])

    def save(self, info: Info) -> None:
        """Within a transaction."""
        self._saved = True
        self.connection.execute("UPDATE info SET id=?, created=?, deleted=?, changed=?, metadata=?, details=?, reported=?",
            (info.id, info.created, info.deleted, info.changed, msgspec.json.encode(info.metadata).decode(),
             msgspec.json.encode(info.details).decode(), info.reported))

    def changes(self, point: int, columns: str, limit: int) -> Changes:
        """Facts and up to `limit` rows after a point, oldest first; `last` is then the newest row told."""
        with self.lock:
            rows = self.connection.execute(f"SELECT id, {columns} FROM row WHERE id > ? ORDER BY id LIMIT ?", (point, limit)).fetchall()
            return Changes(self.info(), [row[1:] for row in rows], rows[-1][0] if rows else point)

    def last(self) -> int:
        """The highest rowid."""
        with self.lock: return int(self.connection.execute("SELECT coalesce(max(id), 0) FROM row").fetchone()[0])

    def point(self, peer: str) -> tuple[int, str]:
        """(up to which row, with which facts) a copy of that id has been told."""
        with self.lock: found = self.connection.execute("SELECT point, facts FROM sync WHERE peer = ?", (peer,)).fetchone()
        return found or (0, "")

    def set_point(self, peer: str, point: int, facts: str) -> None:
        """Remembers that."""
        with self.lock: self.connection.execute("INSERT OR REPLACE INTO sync VALUES (?, ?, ?)", (peer, point, facts))

    def close(self) -> None:
        """Closes the connection; the next use opens another."""
        with self.lock:
            if self._connection: self._connection.close()
            self._connection = None


_METADATA = msgspec.json.Decoder(dict[str, tuple[str, int]])


def merge_metadata(mine: dict[str, tuple[str, int]], theirs: Mapping[str, tuple[str, int]]) -> bool:
    """The newer value of each name stays; True if something changed."""
    changed = False
    for name, (value, timestamp) in theirs.items():
        if name not in mine or mine[name][1] < timestamp:
            mine[name] = (value, timestamp)
            changed = True
    return changed


def take_times(mine: Info, theirs: Info) -> list[str]:
    """Takes over what is later there: which of created, deleted, changed."""
    later = [name for name in ("created", "deleted", "changed") if getattr(theirs, name) > getattr(mine, name)]
    for name in later: setattr(mine, name, getattr(theirs, name))
    return later


def save_put(handle: Handle, info: Info, timestamp: int, metadata: Mapping[str, str]) -> None:
    """What every PUT ends with, within its transaction."""
    info.changed = max(info.changed, timestamp)
    merge_metadata(info.metadata, {name: (value, timestamp) for name, value in metadata.items()})
    handle.save(info)


def post(handle: Handle, timestamp: int, metadata: Mapping[str, str], existing: Existing) -> None:
    """Changes its metadata. Raises what `existing` does."""
    with handle.write():
        info = existing(handle)
        if merge_metadata(info.metadata, {name: (value, timestamp) for name, value in metadata.items()}):
            info.changed = max(info.changed, timestamp)
            handle.save(info)


def delete(handle: Handle, timestamp: int, existing: Existing) -> None:
    """Marks it deleted. Raises what `existing` does, Outdated."""
    with handle.write():
        info = existing(handle)
        if timestamp <= info.created: raise Outdated(timestamp=info.created)
        info.deleted = timestamp
        info.metadata = {name: ("", timestamp) for name in info.metadata}
        handle.save(info)


def merge_rows(db: sqlite3.Connection, columns: str, given: Iterable[Row], kind: Callable[..., Row],
               newest: Callable[[Row, Row], Row]) -> list[tuple[Row | None, Row]]:
    """Writes rows into those that are there; [(row before, row after)] of what changed. A changed row gets a new id."""
    merged: dict[str, Row] = {}
    for row in given: merged[row[0]] = newest(merged[row[0]], row) if row[0] in merged else row
    known: dict[str, Row] = {}
    names = iter(merged)
    while chunk := list(islice(names, CHUNK)):
        marks = ",".join("?" * len(chunk))
        for found in db.execute(f"SELECT {columns} FROM row WHERE name IN ({marks})", chunk): known[found[0]] = kind(*found)
    pairs = ((known.get(name), row) for name, row in merged.items())
    changed = [(before, after) for before, after in ((old, newest(old, row) if old else row) for old, row in pairs) if after != before]
    db.executemany("DELETE FROM row WHERE name = ?", [(before[0],) for before, _ in changed if before])
    db.executemany(f"INSERT INTO row ({columns}) VALUES ({','.join('?' * len(columns.split(',')))})", [after for _, after in changed])
    return changed


class Databases:
    """All databases of one kind on a device; some of them open."""

    def __init__(self, device: Path, kind: str, schema: str) -> None:
        self.root, self.schema = device / kind, schema
        self.device, self.kind = device, kind
        self.root.mkdir(exist_ok=True)
        self.touched: set[str] = set()
        """Paths of those written since somebody last took the set."""
        self.writes: Counter[str] = Counter()
        """{path: how often it was written} since this process began."""
        self._saves: Counter[str] = Counter()
        """The same of its facts; an evicted handle may still be in use beside a new one, so they share it."""
        self._ids: dict[str, str] = {}
        self._open: OrderedDict[str, Handle] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, partition: int, hashed: str) -> str:
        return f"{self.root}/{partition}/{hashed}.db"

    def _wrote(self, path: str) -> None:
        self.touched.add(path)
        self.writes[path] += 1

    def id_of(self, partition: int, hashed: str) -> str:
        """A database's id, "" if there is none; without opening it twice."""
        path = self.path(partition, hashed)
        if path not in self._ids:
            try: self._ids[path] = self.handle(partition, hashed).info().id
            except Missing: return ""
        elif not os.path.exists(path): return ""
        return self._ids[path]

    def handle(self, partition: int, hashed: str) -> Handle:
        """The open database. Raises Missing."""
        path = self.path(partition, hashed)
        with self._lock:
            found = self._open.get(path)
            if found:
                self._open.move_to_end(path)
                return found
            if not os.path.exists(path): raise Missing(hashed)
            made = self._open[path] = Handle(path, self._wrote, self._saves)
            if len(self._open) > OPEN_DATABASES: self._evict()
            return made

    def _evict(self) -> None:
        for path, handle in list(self._open.items())[:16]:
            if not handle.waiting and handle.lock.acquire(blocking=False):
                try: handle.close()
                finally: handle.lock.release()
                del self._open[path]
                return

    def create(self, partition: int, hashed: str, account: str, container: str) -> Handle:
        """The database, made if it is not there. It is not yet existing for users: `created` is 0."""
        try: return self.handle(partition, hashed)
        except Missing: pass
        with self._lock:
            path = self.path(partition, hashed)
            if not os.path.exists(path):
                folder = os.path.dirname(path)
                os.makedirs(folder, exist_ok=True)
                beside = f"{self.device}/tmp/{uuid4().hex}.db"
                with sqlite3.connect(beside) as db:
                    db.executescript(INFO + self.schema)
                    db.execute("INSERT INTO info (id, account, container) VALUES (?, ?, ?)", (str(uuid4()), account, container))
                db.close()
                os.rename(beside, path)
                sync_folder(folder)
                sync_folder(str(self.root))
        return self.handle(partition, hashed)

    def take_touched(self) -> list[tuple[int, str]]:
        """(partition, hash) of those written since the last time."""
        taken = list(self.touched)
        self.touched.difference_update(taken)
        return [(int(path.rsplit("/", 2)[1]), path.rsplit("/", 1)[1][:-3]) for path in taken]

    def all(self) -> list[tuple[int, str]]:
        """(partition, hash) of every database here."""
        found = []
        for folder in self.root.iterdir():
            if folder.name.isdigit(): found += [(int(folder.name), file.name[:-3]) for file in folder.iterdir() if file.suffix == ".db"]
        return sorted(found)

    def forget(self, partition: int, hashed: str) -> None:
        """Removes a database's files."""
        self._away(partition, hashed, os.unlink)

    def quarantine(self, partition: int, hashed: str) -> None:
        """Puts a damaged one aside."""
        aside = self.device / "quarantined" / self.kind
        aside.mkdir(parents=True, exist_ok=True)
        mark = uuid4().hex[:8]
        self._away(partition, hashed, lambda file: os.rename(file, aside / f"{Path(file).name}.{mark}"))

    def _away(self, partition: int, hashed: str, act: Callable[[str], None]) -> None:
        path = self.path(partition, hashed)
        with self._lock:
            handle = self._open.pop(path, None)
            self._ids.pop(path, None)
            if handle: handle.close()
            for file in (path, path + "-wal", path + "-shm"):
                if os.path.exists(file): act(file)
            try: os.rmdir(os.path.dirname(path))
            except OSError: pass

    def checkpoint(self) -> None:
        """Makes durable what the open ones have written."""
        with self._lock: handles = list(self._open.values())
        for handle in handles:
            with handle.lock:
                try: handle.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except Missing: pass

    def close(self) -> None:
        with self._lock:
            for handle in self._open.values(): handle.close()
            self._open.clear()


def merge_together(handle: Handle, rows: Sequence[tuple[Any, ...]], merge: Callable[[Handle, list[tuple[Any, ...]]], None]) -> None:
    """Merges rows in one transaction with those of all writers that wait at this moment; returns when they are in."""
    state: list[BaseException | bool] = [False]
    with handle.waiting_lock: handle.waiting += [(row, state) for row in rows]
    with handle.lock:
        if state[0] is False:
            with handle.waiting_lock: batch, handle.waiting = handle.waiting, []
            outcome: BaseException | bool = True
            try:
                with handle.write(): merge(handle, [row for row, _ in batch])
            except Exception as failure: outcome = failure
            for _, flag in batch: flag[0] = outcome
    if isinstance(state[0], BaseException): raise state[0]
