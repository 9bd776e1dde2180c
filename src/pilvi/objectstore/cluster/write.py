"""Objects written: a body to all copies at once, a quorum of which must have it on disk before the answer."""
from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from pilvi.objectstore.cluster.databases import verdict
from pilvi.objectstore.cluster.members import Members, StandIns, down, quorum
from pilvi.objectstore.node.interface import EtagDiffers, Footer, Listed, NoQuorum, Truncated, Uploading, Written
from pilvi.objectstore.node.record import Record
from pilvi.objectstore.ring.lookup import Device, Ring

T = TypeVar("T")
WHOLE_BYTES = (1 << 20) + 1
"""Up to here a body is collected and stored in one step."""
PIECE_BYTES = 1 << 20
PIECE_SECONDS = 30.0


class Body:
    """A body as it comes: counted, checked, hashed, cut into pieces of PIECE_BYTES."""

    def __init__(self, source: AsyncIterator[bytes], length: int | None, etag: str | None) -> None:
        self._source, self._length, self._etag = source, length, etag
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self.ended = False

    async def piece(self, size: int) -> bytes:
        """About so many bytes (at least, unless it ends). Raises Truncated, EtagDiffers at the end."""
        parts: list[bytes] = []
        have = 0
        while have < size:
            try: part = await anext(self._source)
            except StopAsyncIteration:
                self.ended = True
                break
            parts.append(part)
            have += len(part)
        self._size += have
        if self._length is not None and (self._size > self._length or (self.ended and self._size < self._length)): raise Truncated()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def hash(self, piece: bytes) -> None:
        """Adds to the MD5; a long piece in a thread."""
        if len(piece) < 65536: self._md5.update(piece)
        else: await asyncio.get_running_loop().run_in_executor(None, self._md5.update, piece)

    def written(self) -> Written:
        """At the end. Raises EtagDiffers."""
        found = Written(self._md5.hexdigest(), self._size)
        if self._etag and self._etag.lower() != found.etag: raise EtagDiffers("the body's MD5 is another than the ETag announced")
        return found


def seal(record: Record, written: Written, listed: Listed | None, footer: Callable[[Written], Footer] | None) -> None:
    """Fills in what the end of the body tells."""
    record.size, record.etag = written.size, written.etag
    if footer:
        end = footer(written)
        record.sysmeta = {**record.sysmeta, **end.sysmeta}
        record.shown_etag, listed = end.etag, end.listed or listed
    if listed: record.listed_etag, record.listed_size, record.listed_type = listed


def shares(copies: int, told: int) -> list[list[int]]:
    """Which of the container's copies each of the object's copies tells: all are told, by somebody each."""
    found: list[list[int]] = [[] for _ in range(copies)]
    for number in range(max(copies, told)): found[number % copies].append(number % told)
    return found


class Writing:
    """One write of an object: its place, the devices, and their stand-ins."""

    def __init__(self, members: Members, ring: Ring, folder: str, path: tuple[str, str, str]) -> None:
        self.members, self.ring, self.folder = members, ring, folder
        self.partition, self.hashed = members.place(ring, *path)
        self.devices = ring.nodes(self.partition)
        containers = members.rings["container"]
        told = len(containers.nodes(members.place(containers, *path[:2])[0]))
        self.tell = shares(len(self.devices), told)
        self._others = StandIns(members, ring, self.partition)

    def tell_nobody(self) -> None:
        """The container is not to hear of it."""
        self.tell = [[] for _ in self.tell]

    async def each(self, operation: str, *arguments: Any) -> list[Any]:
        """Does it for every copy; results of a quorum at least. Raises what they raise."""
        async def one(device: Device, tell: list[int]) -> Any:
            return await self.somewhere(device, lambda place: self.members.call(
                place, operation, self.folder, self.partition, self.hashed, *arguments, tell))

        results = await asyncio.gather(*(one(device, tell) for device, tell in zip(self.devices, self.tell, strict=True)),
                                       return_exceptions=True)
        return enough(results, quorum(len(self.devices)))

    async def somewhere(self, device: Device, act: Callable[[Device], Coroutine[Any, Any, T]]) -> T:
        """On the copy's device, or the first stand-in that can."""
        failure: BaseException = NoQuorum(reason="no device left")
        for place in self._others.take(device):
            try: return await act(place)
            except Exception as met:
                if not down(met): raise
                failure = met
        raise failure

    async def stream(self, body: Body, first: bytes, record: Record, seal_: Callable[[Written], None], if_none_match: bool) -> Written:
        """A long body, piece by piece; a device that fails on the way drops out while a quorum is left."""
        copies = Copies(self)
        try:
            await copies.begin()
            piece = first
            while True:
                _, _, following = await asyncio.gather(body.hash(piece), copies.write(piece), self._next(body))
                if not following: break
                piece = following
            written = body.written()
            seal_(written)
            await copies.commit(record, if_none_match)
            return written
        finally: await copies.end()

    async def _next(self, body: Body) -> bytes:
        return b"" if body.ended else await body.piece(PIECE_BYTES)


class Copies:
    """The uploads of one body to its devices."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._open: list[tuple[Uploading, list[int]]] = []
        self._needed = quorum(len(writing.devices))
        self._failures: list[BaseException] = []

    async def begin(self) -> None:
        """Opens a file on each device. Raises Full, NoQuorum."""
        writing = self._writing

        async def one(device: Device, tell: list[int]) -> tuple[Uploading, list[int]]:
            def start(place: Device) -> Coroutine[Any, Any, Uploading]:
                return writing.members.upload(place, writing.folder, writing.partition, writing.hashed)
            return await writing.somewhere(device, start), tell

        results = await asyncio.gather(*(one(device, tell) for device, tell in zip(writing.devices, writing.tell, strict=True)),
                                       return_exceptions=True)
        self._open = [result for result in results if not isinstance(result, BaseException)]
        enough(results, self._needed)

    async def write(self, piece: bytes) -> None:
        """The next bytes, on all. Raises when fewer than a quorum are left."""
        if not piece: return
        await self._all([asyncio.wait_for(upload.write(piece), PIECE_SECONDS) for upload, _ in self._open])

    async def commit(self, record: Record, if_none_match: bool) -> None:
        """Makes it visible on all. Raises Outdated, Exists, NoQuorum."""
        await self._all([upload.commit(record, if_none_match, tell) for upload, tell in self._open])

    async def _all(self, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        results = await asyncio.gather(*work, return_exceptions=True)
        left, lost = [], []
        for entry, result in zip(self._open, results, strict=True):
            if isinstance(result, BaseException): self._failures.append(result); lost.append(entry)
            else: left.append(entry)
        self._open = left
        for upload, _ in lost: await _quietly(upload.abort())
        if len(left) < self._needed: raise verdict(self._failures, len(self._writing.devices))

    async def end(self) -> None:
        """Whatever was not committed leaves nothing."""
        for upload, _ in self._open: await _quietly(upload.abort())


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    try: await work
    except Exception: pass  # the device is away; it clears its unfinished files when it comes back


def enough(results: Sequence[Any], needed: int) -> list[Any]:
    """The successes. Raises the verdict on the others when they are too few."""
    good = [result for result in results if not isinstance(result, BaseException)]
    if len(good) >= needed: return good
    raise verdict([result for result in results if isinstance(result, BaseException)], len(results))
