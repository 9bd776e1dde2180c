"""The node in this process: its devices, called in threads, and what follows a change of an object: telling its container."""
from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.disk import Upload, read_chunk
from pilvi.objectstore.node.interface import Full, NodeDown, ObjectInfo
from pilvi.objectstore.node.operations import CHANGING, OPERATIONS, open_object
from pilvi.objectstore.node.record import CHUNK_BYTES, Broken, Kind, Record

T = TypeVar("T")


class Teller(Protocol):
    """Who tells containers; update.py."""

    async def tell(self, device: LocalDevice, rows: Sequence[tuple[str, str, ObjectRow]], copies: Sequence[int]) -> None: ...


class LocalNode:
    """The devices of this process by name. `teller` None: containers are not told (tests of the node alone)."""

    def __init__(self, devices: Mapping[str, LocalDevice], *, threads: int = 16, teller: Teller | None = None) -> None:
        self.devices, self.teller = dict(devices), teller
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="objects")

    def device(self, name: str) -> LocalDevice:
        """Raises NodeDown when there is no such device, or it has been taken away (an empty mount point)."""
        found = self.devices.get(name)
        if found is None: raise NodeDown(reason=f"no device {name}")
        return found

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """In a thread; what the disk itself refuses, or a damaged database, is NodeDown, so that another copy is tried."""
        try: return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)
        except (OSError, sqlite3.DatabaseError) as failure:
            if getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL: raise Full() from failure
            raise NodeDown(reason=str(failure)) from failure

    async def call(self, device: str, operation: str, *arguments: Any) -> Any:
        there = self.device(device)
        if operation not in CHANGING: return await self.run(OPERATIONS[operation], there, *arguments)
        *given, copies = arguments
        answer = await self.run(OPERATIONS[operation], there, *given)
        record: Record = answer if operation == "fragment_commit" else given[3]
        if operation == "object_post":
            record, info = answer
            await self.told(there, given[0], record, copies, info)
        else: await self.told(there, given[0], record, copies)
        return answer if operation == "object_delete" else None

    async def told(self, device: LocalDevice, folder: str, record: Record, copies: Sequence[int], info: ObjectInfo | None = None) -> None:
        """Tells the object's container of it."""
        if self.teller: await self.teller.tell(device, rows_of(record, folder, info), copies)

    async def upload(self, device: str, folder: str, partition: int, hashed: str) -> LocalUpload:
        there = self.device(device)
        return LocalUpload(self, there, folder, partition, hashed, await self.run(Upload, there.disk))

    async def open(self, device: str, folder: str, partition: int, hashed: str, past: bool) -> LocalSource:
        disk = self.device(device).disk
        found = await self.run(open_object, disk, folder, partition, hashed, past)
        quarantine = partial(disk.quarantine, folder, partition, hashed, found.record.timestamp)
        return LocalSource(self, found.record, found.info, found.head, found.descriptor, quarantine)

    async def close(self) -> None:
        self.threads.shutdown(wait=True)
        for device in self.devices.values(): device.close()


def rows_of(record: Record, folder: str, info: ObjectInfo | None = None) -> list[tuple[str, str, ObjectRow]]:
    """[(account, container, row)] of whom an object's change concerns. `info`: after a POST."""
    policy = int(folder.partition("-")[2] or 0)
    row = ObjectRow(record.name, record.timestamp, int(record.kind == Kind.TOMBSTONE),
                    record.size if record.listed_size is None else record.listed_size,
                    record.listed_etag or record.shown_etag or record.etag,
                    record.listed_type or record.content_type or "", record.timestamp, 0, policy)
    metadata, at = record.metadata, record.timestamp
    if info:
        row = row._replace(posted=info.metadata_timestamp)
        if info.content_type_timestamp > record.timestamp:
            row = row._replace(content_type=info.content_type, type_at=info.content_type_timestamp)
        metadata, at = info.metadata, info.metadata_timestamp
    rows = [(record.account, record.container, row)]
    if record.kind != Kind.TOMBSTONE and (delete_at := metadata.get("x-delete-at", "")).isdigit():
        name = f"{int(delete_at):010d}-{record.account}/{record.container}/{record.name}"
        rows.append((EXPIRING, expiry_container(int(delete_at)), ObjectRow(name, at, 0, 0, "", f"policy/{policy}", at)))
    return rows


EXPIRING = ".expiring_objects"
EXPIRY_SPAN = 86400


def expiry_container(delete_at: int) -> str:
    """The container of the expirer's own account that holds what ends on that day."""
    return f"{delete_at // EXPIRY_SPAN * EXPIRY_SPAN:010d}"


class LocalUpload:
    """An upload to a device of this process."""

    def __init__(self, node: LocalNode, device: LocalDevice, folder: str, partition: int, hashed: str, upload: Upload) -> None:
        self._node, self._device, self._place, self._upload = node, device, (folder, partition, hashed), upload

    async def write(self, piece: bytes) -> None:
        await self._node.run(self._upload.write, piece)

    async def commit(self, record: Record, if_none_match: bool, tell: list[int]) -> None:
        await self._node.run(self._commit, record, if_none_match)
        await self._node.told(self._device, self._place[0], record, tell)

    def _commit(self, record: Record, if_none_match: bool) -> None:
        if self._upload.size != record.length: raise Full()
        self._upload.commit(*self._place, record, if_none_match=if_none_match)
        self._upload.close()

    async def abort(self) -> None:
        await self._node.run(self._upload.close)


class LocalSource:
    """A file of this process's device, open."""

    def __init__(self, node: LocalNode, record: Record, info: ObjectInfo, head: bytes, descriptor: int,
                 quarantine: Callable[[], None]) -> None:
        self._node, self.record, self.info, self.head, self._descriptor = node, record, info, head, descriptor
        self._quarantine = quarantine

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        if self.head:
            if start < stop: yield self.head[start:stop]
            return
        if start >= stop: return
        first, last = start // CHUNK_BYTES, (stop - 1) // CHUNK_BYTES
        following = asyncio.ensure_future(self._chunk(first))
        try:
            for number in range(first, last + 1):
                piece = await following
                if number < last: following = asyncio.ensure_future(self._chunk(number + 1))
                begin, end = max(0, start - number * CHUNK_BYTES), stop - number * CHUNK_BYTES
                yield piece if begin == 0 and end >= len(piece) else piece[begin:end]
        finally:
            if not following.done():
                await asyncio.wait([following])  # the descriptor must not be closed under the thread
            if not following.cancelled(): following.exception()

    async def _chunk(self, number: int) -> bytes:
        """A chunk, checked; a damaged file is put aside and another copy goes on."""
        try: return await self._node.run(read_chunk, self._descriptor, self.record, number)
        except Broken as failure:
            await self._node.run(self._quarantine)
            raise NodeDown(reason=str(failure)) from failure

    async def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0: os.close(descriptor)
