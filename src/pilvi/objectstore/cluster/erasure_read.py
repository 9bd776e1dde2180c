"""Erasure-coded objects read: the newest version of which there are enough fragments, from any of them.

Damaged or lost fragments are replaced by others on the way.
"""
from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from msgspec import structs

from pilvi.objectstore.cluster.codec import SEGMENT_BYTES, STAGED, Codec, Undecodable, codec_of, fragment_name
from pilvi.objectstore.cluster.members import Members, down, majority
from pilvi.objectstore.cluster.read import OPEN_SECONDS
from pilvi.objectstore.node.interface import NodeDown, NoObject, NoQuorum, ObjectInfo, Source
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring.lookup import Device


class CodedReading:
    """Where a coded object's fragments may be found."""

    def __init__(self, members: Members, policy: Policy, path: tuple[str, str, str], past: bool) -> None:
        self._members, self._past = members, past
        self._folder, self._ring, self._codec = policy.folder, members.ring_of(policy.index), codec_of(policy)
        self._partition, self._hashed = members.place(self._ring, *path)
        self._devices = self._ring.nodes(self._partition)
        self._tombstone = self._absent = 0
        self._committed: set[int] = set()

    async def open(self, newest: bool, timestamp: int | None = None) -> CodedReader:
        """Raises NoObject, NoQuorum. `timestamp`: only that version, even if it isn't the newest. (`newest` makes no difference: all
        fragments are always asked.)"""
        away = {index for index, device in enumerate(self._devices) if self._members.suspected(device)}
        found = await self._ask([(index, device, "") for index, device in enumerate(self._devices) if index not in away])
        best = self._best(found, timestamp)
        if best is None or max(self._committed) > best:  # or a newer version has been begun to be committed
            handoffs = self._handoffs()
            others = [(index, device, suffix) for index, place in enumerate(self._devices)
                      for device, suffix in [*([(place, "")] if index in away else []), (place, STAGED),
                                             *((one, end) for one in handoffs for end in ("", STAGED))]]
            for at, more in (await self._ask(others)).items(): found[at] = [*found.get(at, []), *more]
            best = self._best(found, timestamp)
        await _close([source for at, some in found.items() for _, source in some if at != best])
        if best is not None: return CodedReader(self._codec, dict(found[best]))
        absent = not found and self._absent >= majority(len(self._devices))
        if self._tombstone or absent: raise NoObject(timestamp=self._tombstone or None)
        raise NoQuorum(reason=f"too few fragments ({max(map(len, found.values()), default=0)} of {self._codec.data} needed)")

    async def head(self, newest: bool) -> ObjectInfo:
        """As open, closed again."""
        reader = await self.open(newest)
        await reader.close()
        return reader.info

    def _handoffs(self) -> list[Device]:
        found = zip(self._ring.handoffs(self._partition), self._devices, strict=False)
        return [device for device, _ in found if not self._members.suspected(device)]

    def _best(self, found: dict[int, list[tuple[int, Source]]], timestamp: int | None) -> int | None:
        """The newest version with enough fragments and no newer tombstone. A version of which nothing was committed is none: its writer
        was never answered."""
        whole = [at for at, some in found.items() if len({index for index, _ in some}) >= self._codec.data
                 and at > self._tombstone and timestamp in (None, at) and at in self._committed]
        return max(whole, default=None)

    async def _ask(self, places: list[tuple[int, Device, str]]) -> dict[int, list[tuple[int, Source]]]:
        """{timestamp: [(fragment, open file)]}"""
        results = await asyncio.gather(*(self._one(*place) for place in places), return_exceptions=True)
        found: dict[int, list[tuple[int, Source]]] = defaultdict(list)
        for (index, _, suffix), result in zip(places, results, strict=True):
            if isinstance(result, NoObject):
                self._tombstone = max(self._tombstone, result.facts.get("timestamp") or 0)
                self._absent += not suffix
            elif isinstance(result, BaseException):
                if not down(result): raise result
            else:
                found[result.record.timestamp].append((index, result))
                if not suffix: self._committed.add(result.record.timestamp)
        return dict(found)

    async def _one(self, index: int, device: Device, suffix: str) -> Source:
        name = fragment_name(self._hashed, index) + suffix
        try: return await asyncio.wait_for(
            self._members.node(device).open(device.name, self._folder, self._partition, name, self._past), OPEN_SECONDS)
        except TimeoutError: raise self._members.silent(device, OPEN_SECONDS) from None
        except NodeDown:
            self._members.suspect(device)
            raise


class CodedReader:
    """An open coded object: k fragments are read, the others stand by."""

    def __init__(self, codec: Codec, sources: dict[int, Source]) -> None:
        self._codec, self._sources = codec, sources
        first = next(iter(sources.values()))
        latest = max((source.info for source in sources.values()), key=lambda info: info.metadata_timestamp)
        self.record = first.record
        self.info = structs.replace(latest, timestamp=first.record.timestamp)

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.info.size if stop is None else min(stop, self.info.size)
        while start < end:
            number = start // SEGMENT_BYTES
            segment = await self._segment(number)
            offset = start - number * SEGMENT_BYTES
            piece = segment[offset:offset + end - start]
            start += len(piece)
            yield piece

    async def _segment(self, number: int) -> bytes:
        fragments = await self.fragments(number)
        try: return await asyncio.get_running_loop().run_in_executor(None, self._codec.decode, fragments)
        except Undecodable as failure: raise NoQuorum(reason=str(failure)) from failure

    async def fragments(self, number: int) -> list[bytes]:
        """Any k fragments of a segment, data fragments first: those need no computing. Raises NoQuorum."""
        start, stop = self._codec.span(number, self.info.size)
        good: dict[int, bytes] = {}
        while len(good) < self._codec.data:
            missing = [index for index in sorted(self._sources) if index not in good][:self._codec.data - len(good)]
            if not missing: raise NoQuorum(reason="too few fragments are left")
            results = await asyncio.gather(*(_whole(self._sources[index], start, stop) for index in missing), return_exceptions=True)
            for index, result in zip(missing, results, strict=True):
                if isinstance(result, bytes): good[index] = result
                elif isinstance(result, Exception) and (down(result) or isinstance(result, NoObject | OSError)):
                    await _close([self._sources.pop(index)])
                elif isinstance(result, BaseException): raise result
        return [good[index] for index in sorted(good)]

    async def close(self) -> None:
        """All files."""
        await _close(list(self._sources.values()))


async def _whole(source: Source, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in source.read(start, stop)])


async def _close(sources: list[Any]) -> None:
    for source in sources: await source.close()
