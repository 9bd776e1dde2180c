"""A large object's bytes: segments one after another, each fetched through the chain when its turn comes."""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy import ranges
from pilvi.objectstore.proxy.message import Ranged, Request, Response, once

LOG = structlog.get_logger()
DEEPEST = 10
"""Manifests within manifests."""


class SegmentLost(Exception):
    """A segment is gone or is not what the manifest says, and part of the body was sent already."""


@dataclass(slots=True)
class Segment:
    """`begin` to `end` of an object, or `data` itself."""
    path: str
    begin: int
    end: int
    etag: str = ""
    """As the manifest says; "": not checked."""
    size: int | None = None
    data: bytes | None = None

    @property
    def length(self) -> int:
        return self.end - self.begin


class Segments:
    """A body made of segments."""

    def __init__(self, request: Request, fetch: Callable[[Request], Awaitable[Response]], segments: list[Segment], source: str, *,
                 trusted: bool = False) -> None:
        """`trusted`: who may read the whole may read the segments, whatever their container's list says."""
        self.request, self.fetch, self.segments, self.source, self.trusted = request, fetch, segments, source, trusted
        self.length = sum(segment.length for segment in segments)
        self.ready: tuple[int, Response] | None = None

    async def prepare(self) -> None:
        """Opens the segment that is needed first, so that a broken large object is an error and not a broken answer. Raises Refused."""
        wanted = ranges.parse(self.request.headers.get("range"))
        met = ranges.resolve(wanted, self.length) if wanted else [(0, self.length)]
        at = 0
        for index, segment in enumerate(self.segments):
            if met and at <= met[0][0] < at + segment.length and segment.data is None:
                self.ready = index, await self._open(segment)
                return
            at += segment.length

    async def read(self, begin: int, end: int) -> AsyncIterator[bytes]:
        at = 0
        for index, segment in enumerate(self.segments):
            low, high = max(begin - at, 0), min(end - at, segment.length)
            at += segment.length
            if low >= high: continue
            if segment.data is not None:
                async for piece in once(segment.data[segment.begin + low:segment.begin + high]): yield piece
                continue
            response = await self._take(index, segment)
            try:
                body = response.ranged
                assert body is not None
                async for piece in body.read(segment.begin + low, segment.begin + high): yield piece
            finally: await response.close()

    async def _take(self, index: int, segment: Segment) -> Response:
        if self.ready and self.ready[0] == index:
            response, self.ready = self.ready[1], None
            return response
        try: return await self._open(segment)
        except Refused as failure:
            LOG.warning("large object broken", path=self.request.path, segment=segment.path, reason=str(failure))
            raise SegmentLost(str(failure)) from failure

    async def _open(self, segment: Segment) -> Response:
        depth = self.request.notes.get("depth", 0) + 1
        if depth > DEEPEST: raise Refused(409)
        asked = self.request.child("GET", f"/{self.request.parts[0]}/{self.request.parts[1]}{segment.path}", source=self.source,
                                   trusted=self.trusted)
        asked.headers = {name: value for name, value in self.request.headers.items() if name in ("x-newest", "referer", "x-open-expired")}
        asked.notes["depth"] = depth
        response = await self.fetch(asked)
        body = response.ranged
        etag = response.headers.get("etag", "").strip('"')
        whole = response.status == 200 and body is not None
        if whole and (not segment.etag or etag == segment.etag) and segment.size in (None, _length(body)): return response
        await response.close()
        raise Refused(409)

    async def close(self) -> None:
        """Closes what was opened beforehand."""
        if self.ready: await self.ready[1].close()
        self.ready = None


def _length(body: Ranged | None) -> int | None:
    return body.length if body else None
