"""Dynamic large objects: an object with X-Object-Manifest: container/prefix reads as everything there, in the order of names.

Source: Object Storage API, "Dynamic large objects".
"""
from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.conditional import seconds
from pilvi.objectstore.proxy.constraints import LISTING
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, well_formed
from pilvi.objectstore.proxy.segments import Segment, Segments
from pilvi.objectstore.proxy.world import World

MOST_PAGES = 20


class DynamicLargeObjects:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        world.info["dlo"] = {"max_segments": LISTING * MOST_PAGES}

    async def __call__(self, request: Request) -> Response:
        if request.parts[3] is None: return await self.application(request)
        if request.method in ("PUT", "POST"): self._check(request)
        response = await self.application(request)
        if request.method not in ("GET", "HEAD") or "x-object-manifest" not in response.headers or not response.ok: return response
        if request.query.get("multipart-manifest") == "get": return response
        return await self._assemble(request, response)

    def _check(self, request: Request) -> None:
        given = request.headers.get("x-object-manifest")
        if not given: return
        value = unquote(given, errors="surrogateescape")
        container, _, prefix = value.partition("/")
        if not container or not prefix or "?" in given or "&" in given or prefix.startswith("/") or not well_formed(value):
            raise Refused(400, "X-Object-Manifest must be in the format container/prefix", PLAIN)

    async def _assemble(self, request: Request, response: Response) -> Response:
        container, _, prefix = unquote(response.headers["x-object-manifest"], errors="surrogateescape").partition("/")
        lines = await self._lines(request, container, prefix)
        await response.close()
        segments = [Segment(f"/{container}/{line['name']}", 0, line["bytes"], _plain(line["hash"])) for line in lines if "name" in line]
        body = Segments(request, self.application_with_manifests, segments, "DLO")
        digest = hashlib.md5("".join(segment.etag for segment in segments).encode(), usedforsecurity=False).hexdigest()
        moments = [datetime.fromisoformat(line["last_modified"]).replace(tzinfo=UTC).timestamp() for line in lines if "name" in line]
        newest = max([seconds(response.headers.get("last-modified")) or 0.0, *(float(-(-moment // 1)) for moment in moments)])
        if request.method == "GET": await body.prepare()
        response.headers |= {"etag": f'"{digest}"', "content-length": str(body.length), "last-modified": formatdate(newest, usegmt=True)}
        response.body = body
        response.notes |= {"large": True, "one range": True}
        return response

    async def application_with_manifests(self, request: Request) -> Response:
        """Fetches a segment, which may be a large object itself."""
        return await self(request)

    async def _lines(self, request: Request, container: str, prefix: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for _ in range(MOST_PAGES):
            query = {"prefix": prefix, "marker": lines[-1]["name"] if lines else ""}
            asked = request.child("GET", f"/{request.parts[0]}/{request.parts[1]}/{container}", query=query, source="DLO",
                                  headers={"referer": request.headers["referer"]} if "referer" in request.headers else {})
            response = await self.application(asked)
            if not response.ok:
                if response.status in (401, 403): raise Refused(response.status, headers=response.headers)
                raise Refused(404 if response.status == 404 else 409)
            page = response.notes["listing"].lines
            lines += page
            if len(page) < LISTING: return lines
        raise Refused(409, "The large object has too many segments", PLAIN)


def _plain(etag: str) -> str:
    """A listing's etag of an object, as GET shows it."""
    return etag.partition(";")[0].strip()
