"""Objects: bytes in and out, metadata, deletion. What stands above (conditional.py) answers conditions and ranges.

Source: Object Storage API, "Objects".
"""
from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from typing import Any

from pilvi.core import clock
from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import (
    ContainerStat,
    EtagDiffers,
    Exists,
    Footer,
    Full,
    Listed,
    NoObject,
    ObjectInfo,
    Outdated,
    Reader,
    Truncated,
    Written,
)
from pilvi.objectstore.proxy.constraints import FILE_BYTES, check_object_name, check_upload, delete_at
from pilvi.objectstore.proxy.message import PLAIN, Request, Response, answer, is_true
from pilvi.objectstore.proxy.world import World

KEPT = ("content-encoding", "content-disposition", "content-language", "cache-control", "expires", "x-delete-at", "x-object-manifest",
        "x-robots-tag")
OPEN_TO_ALL = "x-object-transient-sysmeta-open-to-all"
"""Everybody may read an object that has this, whatever its container's list says (S3's public-read)."""
S3_ETAG = "x-object-sysmeta-s3-etag"
"""What S3 calls the etag of an upload in parts."""
OVERRIDE = "x-object-sysmeta-container-update-override-"


class Stored:
    """An opened object as a body."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.length = reader, reader.info.size

    def read(self, begin: int, end: int) -> AsyncIterator[bytes]:
        return self.reader.read(begin, end)

    async def close(self) -> None:
        await self.reader.close()


class Unread:
    """The body of a HEAD: only its length is known."""

    def __init__(self, length: int) -> None:
        self.length = length

    async def read(self, begin: int, end: int) -> AsyncIterator[bytes]:
        return
        yield b""

    async def close(self) -> None:
        """Holds nothing."""


def headers_of(info: ObjectInfo) -> dict[str, str]:
    """What HEAD tells."""
    return {"content-type": info.content_type, "etag": info.etag, "last-modified": timestamp.http_date(info.metadata_timestamp),
            "x-timestamp": timestamp.text(info.metadata_timestamp), "x-backend-data-timestamp": timestamp.text(info.timestamp),
            "accept-ranges": "bytes", **info.metadata, **info.sysmeta, "content-length": str(info.size)}


async def _admitted(world: World, request: Request, account: str, container: str, right: str) -> ContainerStat:
    """The container, if the caller may do this in it. Raises Refused."""
    stat = await world.facts.container(request, account, container)
    request.acl = stat.metadata.get(right) if stat else None
    await request.check_access()
    if stat is None: raise Refused(404)
    return stat


async def get(world: World, request: Request, account: str, container: str, name: str) -> Response:
    """GET and HEAD"""
    options: dict[str, Any] = {"newest": is_true(request.headers.get("x-newest")),
                               "expired": is_true(request.headers.get("x-open-expired"))}
    try: stat = await _admitted(world, request, account, container, "x-container-read")
    except Refused as failure:
        open_in = await _open_to_all(world, request, account, container, name) if failure.status in (401, 403) else None
        if open_in is None: raise
        stat = open_in
    options["policy"] = stat.policy
    try:
        if request.method == "HEAD":
            info = await world.store.object_head(account, container, name, **options)
            return Response(200, headers_of(info), Unread(info.size))
        reader = await world.store.object_get(account, container, name, **options)
    except NoObject as failure:
        raise Refused(404, headers=_tombstone(failure)) from None
    return Response(200, headers_of(reader.info), Stored(reader))


async def _open_to_all(world: World, request: Request, account: str, container: str, name: str) -> ContainerStat | None:
    """The object's container, if everybody may read the object."""
    stat = await world.facts.container(request, account, container)
    if stat is None: return None
    try: info = await world.store.object_head(account, container, name, policy=stat.policy)
    except NoObject: return None
    return stat if OPEN_TO_ALL in info.metadata else None


def _tombstone(failure: NoObject) -> dict[str, str]:
    moment = failure.facts.get("timestamp")
    return {"x-backend-timestamp": timestamp.text(moment)} if moment else {}


async def put(world: World, request: Request, account: str, container: str, name: str) -> Response:
    """PUT: visible only when it is complete and on disk."""
    stat = await _admitted(world, request, account, container, "x-container-write")
    headers = request.headers
    if headers.get("if-none-match", "*").strip() != "*": raise Refused(400, "If-None-Match only supports *", PLAIN)
    if "content-type" not in headers or is_true(headers.pop("x-detect-content-type", None)):
        headers["content-type"] = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if not headers["content-type"]: headers["content-type"] = "application/octet-stream"
    check_upload(request, name)
    delete_at(request, clock.now())
    etag = headers.get("etag", "").strip().strip('"').lower() or None
    if request.length is None: request.body = _bounded(request.body)
    moment = request.notes.get("timestamp") or timestamp.now()
    try:
        written = await world.store.object_put(
            account, container, name, request.body, policy=stat.policy, content_type=headers["content-type"], metadata=_metadata(headers),
            sysmeta={n: v for n, v in headers.items() if n.startswith("x-object-sysmeta-") or n == "x-static-large-object"},
            length=request.length, etag=etag, listed=_listed(headers), footer=_footer(request), if_none_match="if-none-match" in headers,
            timestamp=moment)
    except Exists: raise Refused(412) from None
    except EtagDiffers: raise Refused(422) from None
    except Truncated: raise Refused(499) from None
    except Outdated: raise Refused(409) from None
    except Full: raise Refused(507) from None
    if request.notes.get("uploaded"): request.notes["uploaded"](written)
    return Response(201, {"content-type": "text/html; charset=UTF-8", "etag": request.notes.get("etag") or written.etag,
                          "last-modified": timestamp.http_date(moment), "x-backend-data-timestamp": timestamp.text(moment)})


def _metadata(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items()
            if name.startswith(("x-object-meta-", "x-object-transient-sysmeta-")) or (value and name in KEPT)}


def _listed(headers: dict[str, str]) -> Listed | None:
    """What middleware wants the listing to say."""
    found = {word: headers.pop(OVERRIDE + word, None) for word in ("etag", "size", "content-type")}
    if not any(found.values()): return None
    return Listed(found["etag"], int(found["size"]) if found["size"] else None, found["content-type"])


def _footer(request: Request) -> Any:
    """What middleware adds once the whole body is known: its functions of the Written, the one nearest to the client last."""
    functions = request.notes.get("footers")
    if not functions: return None

    def footer(written: Written) -> Footer:
        sysmeta: dict[str, str] = {}
        for function in functions: sysmeta |= function(written)
        etag = sysmeta.pop("etag", None)
        return Footer(sysmeta, _listed(sysmeta), etag)

    return footer


async def _bounded(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for piece in body:
        size += len(piece)
        if size > FILE_BYTES: raise Refused(413, "Your request is too large.", PLAIN)
        yield piece


async def post(world: World, request: Request, account: str, container: str, name: str) -> Response:
    """POST replaces the metadata."""
    stat = await _admitted(world, request, account, container, "x-container-write")
    request.headers.setdefault("content-length", "0")
    check_upload(request, name)
    delete_at(request, clock.now())
    expired = is_true(request.headers.get("x-open-expired"))  # to be brought back before the expirer comes
    try: await world.store.object_head(account, container, name, policy=stat.policy, expired=expired)
    except NoObject: raise Refused(404) from None
    try:
        await world.store.object_post(account, container, name, policy=stat.policy, metadata=_metadata(request.headers),
                                      content_type=request.headers.get("content-type") or None)
    except NoObject: raise Refused(404) from None
    except Outdated: raise Refused(409) from None
    return answer(202)


async def delete(world: World, request: Request, account: str, container: str, name: str) -> Response:
    """DELETE"""
    stat = await _admitted(world, request, account, container, "x-container-write")
    check_object_name(name)
    given = request.headers.get("x-if-delete-at")
    if given is not None:
        if not given.isdecimal(): raise Refused(400, "Bad X-If-Delete-At header value", PLAIN)
        try: info = await world.store.object_head(account, container, name, policy=stat.policy, expired=True)
        except NoObject: raise Refused(404) from None
        if info.metadata.get("x-delete-at") != given: raise Refused(412, "X-If-Delete-At and X-Delete-At do not match", PLAIN)
    moment = request.notes.get("timestamp") or timestamp.now()
    try: await world.store.object_delete(account, container, name, policy=stat.policy, timestamp=moment)
    except NoObject as failure: raise Refused(404, headers=_tombstone(failure)) from None
    except Outdated: raise Refused(409) from None
    return answer(204, b"", headers={"x-backend-timestamp": timestamp.text(moment)})


METHODS = {"GET": get, "HEAD": get, "PUT": put, "POST": post, "DELETE": delete}
