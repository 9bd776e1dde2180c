"""Downloading: GET of an image's bytes, whole or a range. Drawn from the store piece by piece as the client takes them.

Whoever uploaded the bytes may have written HTML; browsers are told not to run it on the dashboard's origin.
Source: Image service API v2, "Download binary image data"; RFC 9110 section 14.
"""
from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.image import errors
from pilvi.image.image.intake import store_of
from pilvi.image.image.states import DEACTIVATED
from pilvi.image.resources.image import RESOURCE, Image, permit

BYTES = re.compile(r"bytes=(\d*)-(\d*)")
WATCHES: set[asyncio.Task[None]] = set()


async def download(call: Call, receive: Any, send: Any, id: str) -> Response:
    """GET /v2/images/{id}/file"""
    assert call.application is not None
    loop = asyncio.get_running_loop()
    response: Response = await loop.run_in_executor(call.application.threads, _open, call, id)
    if response.chunks is not None:
        client = _Client(response.chunks)
        response.chunks = client
        watch = loop.create_task(_watch(receive, client))
        WATCHES.add(watch)
        watch.add_done_callback(WATCHES.discard)
    return response


class _Client:
    """The pieces for a client, until it is gone."""

    def __init__(self, pieces: Any) -> None:
        self.pieces, self.gone = pieces, False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if self.gone: return
            yield piece


async def _watch(receive: Any, client: _Client) -> None:
    while True:
        if (await receive())["type"] == "http.disconnect":
            client.gone = True
            return


def _open(call: Call, id: str) -> Response:
    assert call.application is not None and call.request is not None
    with call.application.database.read() as call.db:
        row: Image = RESOURCE.find(call, id)
        permit(call, "download", row)
    call.db = None
    if row.state == DEACTIVATED and not call.is_admin: raise errors.Deactivated()
    if row.location is None or row.size is None: return Response(204)
    begin, end = _range(call.request.headers.get("range"), row.size)
    store = store_of(call.application)
    try:
        if store.size(row.location) != row.size: raise errors.BytesLost(id=id)
        pieces = store.read(row.location, begin, end - begin)
    except errors.NotStored:
        raise errors.BytesLost(id=id) from None
    headers = {"Content-Length": str(end - begin), "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
               "Content-Security-Policy": "sandbox"}
    partial = end - begin < row.size
    if partial: headers["Content-Range"] = f"bytes {begin}-{end - 1}/{row.size}"
    elif row.checksum: headers["Content-MD5"] = row.checksum
    return Response(206 if partial else 200, headers=headers, media_type="application/octet-stream", chunks=pieces)


def _range(header: str | None, size: int) -> tuple[int, int]:
    """(first byte, byte after the last); everything where nothing, or more than one range, is asked. Raises RangeInvalid."""
    if header is None or "," in header: return 0, size
    found = BYTES.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "" or len(header) > 60: raise errors.RangeInvalid()
    if not found[1]: return max(size - int(found[2]), 0), size
    begin, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if begin >= end: raise errors.RangeInvalid()
    return begin, end


ROUTES = [Route("/v2/images/{id}/file", "GET", download, None, stream=True)]
