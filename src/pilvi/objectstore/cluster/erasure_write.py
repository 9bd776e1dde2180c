"""Erasure-coded objects written: fragments are stored beside the old ones first, and become visible only when enough are on disk.

So an overwrite that fails in the middle never leaves too few fragments of either version. From the first commit on the new version is the
one that is read, also from fragments not yet committed.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from msgspec import structs

from pilvi.objectstore.cluster.codec import SEGMENT_BYTES, STAGED, codec_of, fragment_name
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.cluster.write import PIECE_SECONDS, Body, Writing, enough
from pilvi.objectstore.node.interface import NodeDown, Uploading, Written
from pilvi.objectstore.node.record import Record
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring.lookup import Device


class CodedWriting:
    """One write of a coded object."""

    def __init__(self, members: Members, policy: Policy, path: tuple[str, str, str]) -> None:
        self._writing = Writing(members, members.ring_of(policy.index), policy.folder, path)
        self._members, self._codec = members, codec_of(policy)
        self.needed = min(self._codec.data + 1, self._codec.count)

    def tell_nobody(self) -> None:
        """The container is not to hear of it."""
        self._writing.tell_nobody()

    async def each(self, operation: str, *arguments: Any) -> list[Any]:
        """Does it to every fragment's file."""
        writing = self._writing

        async def one(index: int, device: Device) -> Any:
            name = fragment_name(writing.hashed, index)
            return await writing.somewhere(device, lambda place: self._members.call(
                place, operation, writing.folder, writing.partition, name, *arguments, writing.tell[index]))

        results = await asyncio.gather(*(one(*pair) for pair in enumerate(writing.devices)), return_exceptions=True)
        return enough(results, self.needed)

    async def put(self, body: Body, first: bytes, record: Record, seal: Callable[[Written], None], if_none_match: bool) -> Written:
        """Stores a body. Raises as Store.object_put does."""
        uploads = await self._begin()
        try:
            async for segment in _segments(body, first):
                await body.hash(segment)
                fragments = await asyncio.get_running_loop().run_in_executor(None, self._codec.encode, segment)
                uploads = await self._all(uploads, partial(_write, fragments))
            written = body.written()
            seal(written)
            stored = self._codec.stored_bytes(written.size)
            kept = await self._all(uploads, lambda index, upload: upload.stage(
                structs.replace(record, stored=stored, fragment=index), if_none_match))
            await self._commit(kept, record)
            return written
        finally: await asyncio.gather(*(upload.abort() for upload in uploads.values()), return_exceptions=True)

    async def _begin(self) -> dict[int, _Fragment]:
        writing = self._writing

        async def one(index: int, device: Device) -> _Fragment:
            name = fragment_name(writing.hashed, index)

            async def start(place: Device) -> _Fragment:
                return _Fragment(place, name, await self._members.upload(place, writing.folder, writing.partition, name + STAGED))

            return await writing.somewhere(device, start)

        results = await asyncio.gather(*(one(*pair) for pair in enumerate(writing.devices)), return_exceptions=True)
        begun = {index: result for index, result in enumerate(results) if isinstance(result, _Fragment)}
        try: enough(results, self.needed)
        except BaseException:
            await asyncio.gather(*(upload.abort() for upload in begun.values()), return_exceptions=True)
            raise
        return begun

    async def _all(self, uploads: dict[int, _Fragment],
                   act: Callable[[int, _Fragment], Coroutine[Any, Any, None]]) -> dict[int, _Fragment]:
        """Those for which it went well; raises when they are too few."""
        results = await asyncio.gather(*(asyncio.wait_for(act(index, upload), PIECE_SECONDS) for index, upload in uploads.items()),
                                       return_exceptions=True)
        failed = [result if not isinstance(result, TimeoutError) else NodeDown(reason="too slow") for result in results]
        enough(failed, self.needed)
        return {index: upload for (index, upload), result in zip(uploads.items(), failed, strict=True)
                if not isinstance(result, BaseException)}

    async def _commit(self, uploads: dict[int, _Fragment], record: Record) -> None:
        writing = self._writing
        await self._all(uploads, lambda index, upload: self._members.call(
            upload.place, "fragment_commit", writing.folder, writing.partition, upload.name, record.timestamp, writing.tell[index]))


class _Fragment:
    """A fragment on its way to a device."""

    def __init__(self, place: Device, name: str, upload: Uploading) -> None:
        self.place, self.name, self._upload = place, name, upload
        self.write, self.abort = upload.write, upload.abort

    async def stage(self, record: Record, if_none_match: bool) -> None:
        """On disk, not yet visible."""
        await self._upload.commit(record, if_none_match, [])


async def _write(fragments: list[bytes], index: int, upload: _Fragment) -> None:
    await upload.write(fragments[index])


async def _segments(body: Body, first: bytes) -> AsyncIterator[bytes]:
    """The body in pieces of exactly SEGMENT_BYTES, the last one shorter."""
    rest = first
    while True:
        while len(rest) < SEGMENT_BYTES and not body.ended: rest += await body.piece(SEGMENT_BYTES - len(rest))
        segment, rest = rest[:SEGMENT_BYTES], rest[SEGMENT_BYTES:]
        if segment: yield segment
        if not rest and body.ended: return


