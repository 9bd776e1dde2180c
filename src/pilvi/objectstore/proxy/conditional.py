"""Conditions and ranges: from a body that can be read from any place to what the client asked of it.

Stands once in the chain, above everything that makes bytes (segments, decryption), below what only relays.
Source: RFC 9110, sections 13 and 14; Object Storage API, "Get object content and metadata".
"""
from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

from pilvi.objectstore.errors import page
from pilvi.objectstore.proxy import ranges
from pilvi.objectstore.proxy.message import HTML, Handler, Ranged, Request, Response
from pilvi.objectstore.proxy.world import World

KEPT = ("etag", "last-modified", "x-timestamp", "content-location", "accept-ranges")


def tags(header: str | None) -> set[str] | None:
    """The entity tags of an If-Match header, without quotes; None without a header."""
    if header is None: return None
    return {tag.strip().removeprefix("W/").strip().strip('"') for tag in header.split(",")}


def seconds(header: str | None) -> float | None:
    """The instant of a date header; None where there is none or it is not understood."""
    if not header: return None
    try: return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError): return None


def verdict(request: Request, etag: str | None, modified: str | None, *, exists: bool = True) -> int | None:
    """304, 412 or None: what the request's conditions say of what is stored."""
    headers = request.headers
    match, none_match = tags(headers.get("if-match")), tags(headers.get("if-none-match"))
    if not exists: return 412 if match and "*" in match else None
    if match is not None and "*" not in match and etag is not None and not _any(match, etag): return 412
    if none_match is not None and etag is not None and ("*" in none_match or _any(none_match, etag)):
        return 304 if request.method in ("GET", "HEAD") else 412
    stored = seconds(modified)
    if stored is None: return None
    unmodified = seconds(headers.get("if-unmodified-since"))
    if unmodified is not None and stored > unmodified: return 412  # with If-Match too, as upstream does
    since = seconds(headers.get("if-modified-since"))
    if none_match is None and since is not None and stored <= since and request.method in ("GET", "HEAD"): return 304
    return None


def _any(wanted: set[str], etags: str) -> bool:
    return any(etag.strip('"') in wanted for etag in etags.split(" or "))


class Conditional:
    """Middleware that answers conditions and ranges of GET and HEAD."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application

    async def __call__(self, request: Request) -> Response:
        response = await self.application(request)
        if request.method not in ("GET", "HEAD") or response.notes.get("unconditional"): return response
        return await apply(request, response)


async def apply(request: Request, response: Response) -> Response:
    """The response as its request's conditions and ranges want it."""
    headers = response.headers
    if response.status == 404 and "if-match" in request.headers and verdict(request, None, None, exists=False):
        await response.close()
        return Response(412, {"content-type": HTML}, page(412))
    if response.status != 200 or response.ranged is None: return response
    etags = " or ".join(response.notes["etags"]) if "etags" in response.notes else headers.get("etag")
    status = verdict(request, etags, headers.get("last-modified"))
    if status is not None:
        await response.close()
        kept = {name: value for name, value in headers.items() if name in KEPT or name.startswith("x-object-")}
        return Response(status, {**kept, "content-type": HTML} if status == 412 else kept, page(status), response.notes)
    wanted = ranges.parse(request.headers.get("range")) if _still_same(request, headers) else None
    return await cut(response, wanted) if wanted and (request.method == "GET" or request.source == "S3") else response


def _still_same(request: Request, headers: dict[str, str]) -> bool:
    """Is what an If-Range names what is stored?"""
    given = request.headers.get("if-range")
    if given is None: return True
    return given.strip('"') == headers.get("etag", "").strip('"') or seconds(given) == seconds(headers.get("last-modified"))


async def cut(response: Response, wanted: list[ranges.Wanted]) -> Response:
    """206 with one range or several, or 416."""
    body, headers = response.ranged, response.headers
    assert body is not None
    met = ranges.resolve(wanted, body.length)
    if len(met) > 1 and response.notes.get("one range"): return response
    if not met:
        await response.close()
        kept = {name: value for name, value in headers.items() if name in KEPT}
        return Response(416, {**kept, "content-type": HTML, "content-range": f"bytes */{body.length}"}, page(416))
    response.status = 206
    if len(met) == 1:
        begin, end = met[0]
        headers |= {"content-range": f"bytes {begin}-{end - 1}/{body.length}", "content-length": str(end - begin)}
        response.body, response.on_close = body.read(begin, end), body.close
        return response
    boundary, kind = uuid.uuid4().hex, headers.get("content-type", "application/octet-stream")
    heads = [f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {begin}-{end - 1}/{body.length}\r\n\r\n".encode(
        "utf-8", "surrogateescape") for begin, end in met]
    length = sum(len(head) + end - begin + 2 for head, (begin, end) in zip(heads, met, strict=True)) + len(boundary) + 4
    headers |= {"content-type": f"multipart/byteranges;boundary={boundary}", "content-length": str(length)}
    response.body, response.on_close = _parts(body, heads, met, boundary), body.close
    return response


async def _parts(body: Ranged, heads: list[bytes], met: list[tuple[int, int]], boundary: str) -> AsyncIterator[bytes]:
    for head, (begin, end) in zip(heads, met, strict=True):
        yield head
        async for piece in body.read(begin, end): yield piece
        yield b"\r\n"
    yield f"--{boundary}--".encode()
