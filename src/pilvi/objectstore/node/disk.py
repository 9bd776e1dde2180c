"""The object files of one device. Synchronous; called in threads.

    DEVICE/objects[-POLICY]/PARTITION/HASH          data or tombstone, whichever is newest
    DEVICE/objects[-POLICY]/PARTITION/HASH.meta     the newest POST, when newer than the data
    DEVICE/tmp/…                                    what is being written; emptied at start
    DEVICE/quarantined/objects/…                    what did not match its checksum

A file becomes visible by one rename, after its bytes are on disk; the directory is synced before the answer. One process owns a device
(device.py holds the lock), so the newest-wins comparison needs only a lock in memory.
"""
from __future__ import annotations

import errno
import os
import secrets
import threading
import time
import zlib
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from pilvi.objectstore.node import record as format_
from pilvi.objectstore.node.interface import Exists, Full, NoObject, ObjectInfo, Outdated
from pilvi.objectstore.node.layout import SUFFIXES, Layout
from pilvi.objectstore.node.record import CHUNK_BYTES, TAIL, Broken, Kind, Record
from pilvi.objectstore.ring.lookup import partition_of

TRAILER_GUESS = 4096
SMALL_BYTES = 65536
"""Up to so many bytes are read together with the trailer."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Opened(NamedTuple):
    """A data file, open. `head`: its first bytes when it is small (then all of them), else empty."""
    record: Record
    info: ObjectInfo
    descriptor: int
    head: bytes


class Disk:
    """One device's object files."""

    def __init__(self, path: Path, reserve_bytes: int = 0) -> None:
        self.path, self.reserve_bytes = path, reserve_bytes
        self.root = os.fspath(path)
        self.layout = Layout(path)
        self._locks = [threading.Lock() for _ in range(256)]
        self._room = (0.0, True)
        for name in ("tmp", "quarantined/objects"): (path / name).mkdir(parents=True, exist_ok=True)
        for left in (path / "tmp").iterdir(): left.unlink()

    def lock(self, hashed: str) -> threading.Lock:
        """Whoever changes an object's files holds this."""
        return self._locks[int(hashed[-2:], 16)]

    def file(self, folder: str, partition: int, hashed: str) -> str:
        """Where a file lies, or shall lie: the device's layout says, whatever ring the caller has; the caller only until that is known."""
        powers = self.layout.powers.get(folder)
        if not powers: return f"{self.root}/{folder}/{partition}/{hashed}"
        if len(powers) > 1: self._bring_home(folder, hashed)
        return f"{self.root}/{folder}/{partition_of(hashed, powers[0])}/{hashed}"

    def _bring_home(self, folder: str, name: str) -> None:
        """Moves a file, and what lies beside it, from the directory of an older layout. What is home stays there."""
        stem = name.partition(".")[0]
        home = f"{self.root}/{folder}/{partition_of(name, self.layout.powers[folder][0])}"
        for place in self.layout.older(folder, name):
            with self.lock(name[:32]):
                for suffix in SUFFIXES:
                    old = f"{self.root}/{folder}/{place}/{stem}{suffix}"
                    if not os.path.exists(old): continue
                    new = f"{home}/{stem}{suffix}"
                    if os.path.exists(new) and os.stat(new).st_mtime_ns >= os.stat(old).st_mtime_ns: os.unlink(old)
                    else:
                        if not os.path.isdir(home): self._make_folder(home)
                        os.rename(old, new)

    def check_room(self, more: int = 0) -> None:
        """Raises Full below the reserve. The answer is remembered for a fifth of a second."""
        then, room = self._room
        if more or time.monotonic() - then > 0.2:
            state = os.statvfs(self.root)
            room = state.f_bavail * state.f_frsize - more >= self.reserve_bytes and state.f_favail > 64
            if not more: self._room = (time.monotonic(), room)
        if not room: raise Full()

    # -- writing

    def put(self, folder: str, partition: int, hashed: str, record: Record, body: bytes, *, if_none_match: bool = False) -> None:
        """Stores a small object at once. Raises Outdated, Exists, Full."""
        with Upload(self, length=len(body)) as upload:
            upload.write(body)
            upload.commit(folder, partition, hashed, record, if_none_match=if_none_match)

    def delete(self, folder: str, partition: int, hashed: str, record: Record) -> ObjectInfo | None:
        """Leaves a tombstone; what was there before, if anything. Raises Outdated. Deletes work on a full disk too, as far as it lets."""
        try: before: ObjectInfo | None = self.head(folder, partition, hashed)
        except (NoObject, Broken): before = None
        with Upload(self, check=False) as upload: upload.commit(folder, partition, hashed, record)
        return before

    def post(self, folder: str, partition: int, hashed: str, record: Record) -> tuple[Record, ObjectInfo]:
        """Puts new metadata beside the data; the data's trailer and the object as it is then. A None content type keeps the present one.
        Raises NoObject, Outdated."""
        data, info = self._look(folder, partition, hashed)
        if record.timestamp <= info.metadata_timestamp: raise Outdated(timestamp=info.metadata_timestamp)
        if record.content_type is None:
            record.content_type, record.content_type_timestamp = info.content_type, info.content_type_timestamp
        else: record.content_type_timestamp = record.timestamp
        with Upload(self) as upload: upload.commit(folder, partition, hashed + ".meta", record)
        return data, self._info(self.file(folder, partition, hashed), data)

    def _look(self, folder: str, partition: int, hashed: str) -> tuple[Record, ObjectInfo]:
        found = self.open(folder, partition, hashed)
        os.close(found.descriptor)
        return found.record, found.info

    def promote(self, folder: str, partition: int, name: str, timestamp: int) -> Record:
        """Makes a fragment that was staged as NAME.new what NAME is; repeatable. Raises NoObject, Outdated."""
        path = self.file(folder, partition, name)
        try: record: Record | None = self.record(folder, partition, name + ".new")
        except NoObject: record = None
        with self.lock(name[:32]):
            if record is None or record.timestamp != timestamp:
                record = self.record(folder, partition, name)
                if record.timestamp != timestamp: raise Outdated(timestamp=record.timestamp)
            else: self._settle(path + ".new", path, record, False)
        sync_folder(os.path.dirname(path))
        return record

    def _settle(self, temporary: str, path: str, record: Record, if_none_match: bool) -> None:
        """The rename, if what is there is older. Called with the object's lock."""
        try: there: int | None = os.stat(path).st_mtime_ns
        except FileNotFoundError: there = None
        if there is not None:
            timestamp, kind = format_.of_mtime(there)
            if if_none_match and kind == Kind.DATA: raise Exists()
            again = timestamp == record.timestamp and kind == record.kind
            if timestamp >= record.timestamp and not again: raise Outdated(timestamp=timestamp)
        try: os.rename(temporary, path)
        except FileNotFoundError:
            self._make_folder(os.path.dirname(path))
            os.rename(temporary, path)
        if record.kind != Kind.POSTED:
            posted = path + ".meta"
            try:
                if os.stat(posted).st_mtime_ns // 10_000 <= record.timestamp: os.unlink(posted)
            except FileNotFoundError: pass

    def _make_folder(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        sync_folder(os.path.dirname(folder))
        sync_folder(self.root)

    # -- reading

    def open(self, folder: str, partition: int, hashed: str) -> Opened:
        """Opens the data. Raises NoObject (facts: the tombstone's timestamp or None), Broken."""
        for _ in range(2):  # the second time only if the layout has just changed
            path = self.file(folder, partition, hashed)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                break
            except FileNotFoundError: continue
        else: raise NoObject(timestamp=None)
        try:
            record, head = read_record(descriptor)
            if record.kind == Kind.TOMBSTONE: raise NoObject(timestamp=record.timestamp)
            if head: check_chunk(record, 0, head)
            return Opened(record, self._info(path, record), descriptor, head)
        except BaseException:
            os.close(descriptor)
            raise

    def head(self, folder: str, partition: int, hashed: str) -> ObjectInfo:
        """As open, and closes it."""
        return self._look(folder, partition, hashed)[1]

    def _info(self, path: str, record: Record) -> ObjectInfo:
        posted = self._posted(path)
        metadata, newest, kind, kind_at = record.metadata, record.timestamp, record.content_type, record.timestamp
        if posted and posted.timestamp > record.timestamp:
            metadata, newest = posted.metadata, posted.timestamp
            if posted.content_type_timestamp > record.timestamp: kind, kind_at = posted.content_type, posted.content_type_timestamp
        return ObjectInfo(timestamp=record.timestamp, size=record.size, etag=record.shown_etag or record.etag, content_type=kind or "",
                          metadata=metadata, sysmeta=record.sysmeta, metadata_timestamp=newest, content_type_timestamp=kind_at)

    def _posted(self, path: str) -> Record | None:
        try: descriptor = os.open(path + ".meta", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError: return None
        try: return read_record(descriptor)[0]
        except Broken: return None  # the auditor removes it; another copy has it
        finally: os.close(descriptor)

    # -- what loops need

    def directories(self, folder: str) -> list[int]:
        """The directories of a policy; those of partitions, but for a layout that changes."""
        try: return sorted(int(name) for name in os.listdir(f"{self.root}/{folder}") if name.isdigit())
        except FileNotFoundError: return []

    def partitions(self, folder: str, power: int | None = None) -> list[int]:
        """The partitions of which something is here, of a ring of that power (None: the layout's)."""
        if self._plain(folder, power): return self.directories(folder)
        power = power or self.layout.powers[folder][0]
        return sorted({partition_of(name, power) for place in self.directories(folder) for name in self._scan(folder, place)})

    def manifest(self, folder: str, partition: int, power: int | None = None) -> dict[str, int]:
        """{file name: mtime in ns}: what is here of a partition of a ring of that power (None: the layout's), and how new."""
        if self._plain(folder, power): return self._scan(folder, partition)
        power = power or self.layout.powers[folder][0]
        found: dict[str, int] = {}
        for place in self.layout.directories(folder, partition, power): found |= self._scan(folder, place)
        return {name: mtime for name, mtime in found.items() if partition_of(name, power) == partition}

    def _plain(self, folder: str, power: int | None) -> bool:
        """Is a partition a directory?"""
        powers = self.layout.powers.get(folder)
        return not powers or (len(powers) == 1 and power in (None, powers[0]))

    def _scan(self, folder: str, place: int) -> dict[str, int]:
        found = {}
        try:
            with os.scandir(f"{self.root}/{folder}/{place}") as entries:
                for entry in entries:
                    try: found[entry.name] = entry.stat().st_mtime_ns
                    except FileNotFoundError: pass  # moved or removed at this moment
        except (FileNotFoundError, NotADirectoryError): pass
        return found

    def record(self, folder: str, partition: int, name: str) -> Record:
        """The trailer of one file. Raises NoObject, Broken."""
        try: descriptor = os.open(self.file(folder, partition, name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError: raise NoObject(timestamp=None) from None
        try: return read_record(descriptor)[0]
        finally: os.close(descriptor)

    def remove(self, folder: str, partition: int, name: str, mtime_ns: int) -> bool:
        """Removes a file unless it has become another meanwhile; and the partition's folder once it is empty."""
        path = self.file(folder, partition, name)
        with self.lock(name[:32]):
            try:
                if os.stat(path).st_mtime_ns != mtime_ns: return False
                os.unlink(path)
            except FileNotFoundError: return False
        try: os.rmdir(os.path.dirname(path))
        except OSError: pass
        return True

    def quarantine(self, folder: str, partition: int, name: str, timestamp: int | None = None) -> None:
        """Puts a damaged file aside: it is neither served nor copied any more, and another copy takes its place. `timestamp`: only if it's
        still the file of then."""
        path = self.file(folder, partition, name)
        with self.lock(name[:32]):
            try:
                if timestamp is not None and os.stat(path).st_mtime_ns // 10_000 != timestamp: return
                os.rename(path, f"{self.root}/quarantined/objects/{name}-{secrets.token_hex(4)}")
            except FileNotFoundError: pass


def refile(disk: Disk, folder: str, place: int) -> int:
    """Moves the files of a directory that belong into another; how many."""
    moved = 0
    for name in disk._scan(folder, place):
        if partition_of(name, disk.layout.powers[folder][0]) == place: continue
        disk.file(folder, place, name)
        moved += 1
    try: os.rmdir(f"{disk.root}/{folder}/{place}")
    except OSError: pass
    return moved


def settle_layout(disk: Disk, folder: str) -> None:
    """All files are where the present power says; that is made durable, and older powers are forgotten."""
    for place in disk.directories(folder): sync_folder(f"{disk.root}/{folder}/{place}")
    sync_folder(f"{disk.root}/{folder}")
    disk.layout.set(folder, disk.layout.powers[folder][:1])


class Upload:
    """A file being written; without `commit` nothing stays. Use as a context."""

    def __init__(self, disk: Disk, *, length: int | None = None, check: bool = True) -> None:
        self._disk, self.size = disk, 0
        if check: disk.check_room(length or 0 if (length or 0) > 1 << 20 else 0)
        self.path = f"{disk.root}/tmp/{secrets.token_hex(8)}"
        self._descriptor = _guarded(os.open, self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._chunks: list[int] = []
        self._running = 0

    def write(self, piece: bytes) -> None:
        """Appends data. Raises Full."""
        rest = memoryview(piece)
        while rest:
            part = rest[:CHUNK_BYTES - self.size % CHUNK_BYTES]
            self._running = zlib.crc32(part, self._running)
            self.append(part)
            self.size += len(part)
            rest = rest[len(part):]
            if self.size % CHUNK_BYTES == 0:
                self._chunks.append(self._running)
                self._running = 0

    def append(self, piece: bytes | memoryview) -> None:
        """Writes bytes that are not data. Raises Full."""
        rest = memoryview(piece)
        while rest: rest = rest[_guarded(os.write, self._descriptor, rest):]

    def _checksums(self) -> bytes:
        last = [self._running] if self.size % CHUNK_BYTES else []
        return b"".join(number.to_bytes(4, "little") for number in (*self._chunks, *last))

    def commit(self, folder: str, partition: int, name: str, record: Record, *, if_none_match: bool = False) -> None:
        """Makes it what `name` is. Raises Outdated, Exists, Full."""
        self.append(format_.encode(structs.replace(record, chunks=self._checksums())))
        os.utime(self._descriptor, ns=(0, format_.mtime(record.timestamp, Kind(record.kind))))
        _guarded(os.fsync, self._descriptor)
        path = self._disk.file(folder, partition, name)
        with self._disk.lock(name[:32]): self._disk._settle(self.path, path, record, if_none_match)
        self.path = ""
        sync_folder(os.path.dirname(path))

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it; what was not committed is gone."""
        if self._descriptor >= 0: os.close(self._descriptor)
        self._descriptor = -1
        if self.path:
            try: os.unlink(self.path)
            except FileNotFoundError: pass
            self.path = ""


def _guarded(function: object, *arguments: object) -> int:
    """A system call; no room is Full."""
    try: return function(*arguments)  # type: ignore[operator,no-any-return]
    except OSError as failure:
        if failure.errno in _FULL: raise Full() from None
        raise


def sync_folder(path: str) -> None:
    """Makes the names in a directory durable. A folder that a reclaim has just removed again needs none."""
    try: descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError: return
    try: os.fsync(descriptor)
    finally: os.close(descriptor)


def read_record(descriptor: int) -> tuple[Record, bytes]:
    """(trailer, all data bytes if the file is small, else b""). Raises Broken."""
    size = os.fstat(descriptor).st_size
    take = size if size <= SMALL_BYTES + TRAILER_GUESS else TRAILER_GUESS
    ending = os.pread(descriptor, take, size - take)
    length = format_.trailer_length(ending[-TAIL:]) + TAIL
    if length > size: raise Broken("the trailer is longer than the file")
    if length > len(ending): ending = os.pread(descriptor, length, size - length)
    record = format_.decode(ending)
    if record.length != size - length: raise Broken("the file is shorter or longer than its trailer says")
    return record, ending[:record.length] if take == size and len(ending) == size else b""


def read_chunk(descriptor: int, record: Record, number: int) -> bytes:
    """One whole chunk of the data, checked. Raises Broken."""
    start = number * CHUNK_BYTES
    piece = os.pread(descriptor, min(CHUNK_BYTES, record.length - start), start)
    check_chunk(record, number, piece)
    return piece


def check_chunk(record: Record, number: int, piece: bytes) -> None:
    """Raises Broken when the bytes are not those that were written."""
    if zlib.crc32(piece) != int.from_bytes(record.chunks[4 * number:4 * number + 4], "little"): raise Broken(f"chunk {number} is damaged")
