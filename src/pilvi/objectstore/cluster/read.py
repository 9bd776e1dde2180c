"""Objects read: from the first copy that has it, from the next one when that fails in the middle."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pilvi.objectstore.cluster.members import Members, down, majority
from pilvi.objectstore.node.interface import NodeDown, NoObject, NoQuorum, ObjectInfo, Source
from pilvi.objectstore.ring.lookup import Device, Ring

OPEN_SECONDS = 4.0


class Reading:
    """Where an object's copies may be found."""

    def __init__(self, members: Members, ring: Ring, folder: str, path: tuple[str, str, str], past: bool) -> None:
        self.members, self.ring, self.folder, self.past = members, ring, folder, past
        self.partition, self.hashed = members.place(ring, *path)

    async def head(self, newest: bool) -> ObjectInfo:
        """Raises NoObject, NoQuorum."""
        if newest: return (await self._newest())[1]
        for_all: ObjectInfo = await self._first("head")
        return for_all

    async def open(self, newest: bool) -> ObjectReader:
        """Raises NoObject, NoQuorum."""
        if newest:
            device, _ = await self._newest()
            source = await self._open(device)
        else: source = await self._first("open")
        return ObjectReader(self, source)

    async def _open(self, device: Device) -> Source:
        node = self.members.node(device)
        try: return await asyncio.wait_for(node.open(device.name, self.folder, self.partition, self.hashed, self.past), OPEN_SECONDS)
        except TimeoutError: raise self.members.silent(device, OPEN_SECONDS) from None
        except NodeDown:
            self.members.suspect(device)
            raise

    async def _ask(self, device: Device, what: str) -> Any:
        if what == "open": return await self._open(device)
        return await self.members.call(device, "object_head", self.folder, self.partition, self.hashed, self.past,
                                       seconds=OPEN_SECONDS)

    async def _first(self, what: str) -> Any:
        """The first good answer. A copy older than a tombstone seen on the way is none."""
        primaries = self.members.reading_order(self.ring, self.partition)
        tombstone, absent, reasons = 0, 0, set()
        for number, device in enumerate(self._places(primaries)):
            try: found = await self._ask(device, what)
            except NoObject as failure:
                tombstone = max(tombstone, failure.facts.get("timestamp") or 0)
                absent += number < len(primaries)
                continue
            except Exception as failure:
                if not down(failure): raise
                reasons.add(str(failure))
                continue
            if tombstone < (found if what == "head" else found.info).timestamp: return found
            if what == "open": await found.close()
        if absent >= majority(len(primaries)) or tombstone: raise NoObject(timestamp=tombstone or None)
        raise NoQuorum(reason="; ".join(sorted(reasons)))

    def _places(self, primaries: list[Device]) -> list[Device]:
        """The devices to ask: those that should have it, then as many stand-ins."""
        stand_ins = [device for device, _ in zip(self.ring.handoffs(self.partition), primaries, strict=False)]
        return [*primaries, *(device for device in stand_ins if not self.members.suspected(device))]

    async def _newest(self) -> tuple[Device, ObjectInfo]:
        """The newest of all copies that can be asked."""
        primaries = self.members.reading_order(self.ring, self.partition)
        places = self._places(primaries)
        answers = await asyncio.gather(*(self._ask(device, "head") for device in places), return_exceptions=True)
        found = [(device, info) for device, info in zip(places, answers, strict=True) if isinstance(info, ObjectInfo)]
        tombstone = max((one.facts.get("timestamp") or 0 for one in answers if isinstance(one, NoObject)), default=0)
        best = max(found, key=lambda pair: (pair[1].timestamp, pair[1].metadata_timestamp), default=None)
        if best and best[1].timestamp > tombstone: return best
        absent = sum(isinstance(one, NoObject) for one in answers[:len(primaries)])
        if absent >= majority(len(primaries)) or tombstone: raise NoObject(timestamp=tombstone or None)
        raise NoQuorum(reason="too few copies answer")

    async def another(self, info: ObjectInfo, tried: int) -> Source | None:
        """Another copy of the same data, after `tried` of them failed."""
        for device in self._places(self.ring.nodes(self.partition))[tried:]:
            try: source = await self._open(device)
            except Exception as failure:
                if not down(failure) and not isinstance(failure, NoObject): raise
                continue
            if source.info.timestamp == info.timestamp and source.info.etag == info.etag: return source
            await source.close()
        return None


class ObjectReader:
    """An open object."""

    def __init__(self, reading: Reading, source: Source) -> None:
        self._reading, self._source, self.info = reading, source, source.info

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.info.size if stop is None else min(stop, self.info.size)
        tried = 0
        while start < end:
            try:
                async for piece in self._source.read(start, end):
                    start += len(piece)
                    yield piece
                return
            except (NodeDown, OSError) as failure:
                following = await self._reading.another(self.info, tried)
                tried += 1
                if following is None: raise NoQuorum(reason=str(failure)) from failure
                await self._source.close()
                self._source = following

    async def close(self) -> None:
        await self._source.close()
