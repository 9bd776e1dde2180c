"""A node's side of wire.py: the devices of this process for the others."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from aiohttp import web

from pilvi.core.errors import Failure
from pilvi.objectstore.cluster.rings import RingFiles
from pilvi.objectstore.node import wire
from pilvi.objectstore.node.interface import NodeDown, NoObject
from pilvi.objectstore.node.local import LocalNode, LocalUpload
from pilvi.objectstore.node.operations import OPERATIONS
from pilvi.objectstore.node.record import Record
from pilvi.objectstore.ring.file import RingBroken

LOG = structlog.get_logger()
BODY_BYTES = 64 << 20
FRAME_BYTES = 4 << 20
COMMIT = msgspec.msgpack.Decoder(tuple[Record, bool, list[int]])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Failure):
    """The request is not signed with this cluster's secret."""
    status = 401


class NodeServer:
    """Serves a local node's devices to whoever holds the key."""

    def __init__(self, node: LocalNode, key: bytes, rings: RingFiles) -> None:
        self._node, self._key, self._rings = node, wire.node_key(key), rings

    def application(self) -> web.Application:
        """Its routes."""
        made = web.Application(client_max_size=BODY_BYTES, middlewares=[self._failures])
        place = "{device}/{folder:objects(?:-[0-9]+)?}/{partition:[0-9]+}/{name:[0-9a-f]{32}[#.a-z0-9_-]*}"
        made.add_routes([web.post("/call/{device}/{operation}", self.call), web.post(f"/upload/{place}", self.upload),
                         web.get(f"/open/{place}", self.open), web.get(f"/read/{place}", self.read),
                         web.get("/rings", self.rings), web.post("/rings/{name:[a-z0-9-]+}", self.take_ring)])
        return made

    async def listen(self, address: str) -> web.AppRunner:
        """Opens the door at HOST:PORT. Raises OSError when it is taken."""
        host, _, port = address.rpartition(":")
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        await web.TCPSite(runner, host, int(port)).start()
        return runner

    @web.middleware
    async def _failures(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try: return await handler(request)
        except Failure as failure: return web.Response(status=failure.status, body=wire.encode_failure(failure))
        except (web.HTTPException, ConnectionError): raise
        except Exception as failure:
            LOG.exception("node request failed", path=request.path)
            return web.Response(status=500, body=wire.encode_failure(NodeDown(reason=str(failure))))

    def _check(self, request: web.Request, body: bytes | None) -> None:
        if not wire.genuine(self._key, request.method, request.raw_path, body, request.headers.get(wire.SIGNATURE, "")): raise Refused()

    def _place(self, request: web.Request) -> tuple[str, str, int, str]:
        found = request.match_info
        return found["device"], found["folder"], int(found["partition"]), found["name"]

    async def call(self, request: web.Request) -> web.Response:
        """One operation."""
        body = await request.read()
        self._check(request, body)
        operation = request.match_info["operation"]
        if operation not in OPERATIONS: raise NodeDown(reason=f"it knows no {operation}")
        answer = await self._node.call(request.match_info["device"], operation, *wire.decode_arguments(operation, body))
        return web.Response(body=wire.encode(answer))

    async def upload(self, request: web.Request) -> web.Response:
        """A file in frames."""
        self._check(request, None)
        upload = await self._node.upload(*self._place(request))
        try:
            while True:
                kind, piece = await _frame(request)
                if kind == b"D": await upload.write(piece)
                else: break
            record, if_none_match, tell = COMMIT.decode(piece)
            await upload.commit(record, if_none_match, tell)
        finally: await _end(upload)
        return web.Response(body=wire.encode(None))

    async def rings(self, request: web.Request) -> web.Response:
        """The versions of the rings here."""
        self._check(request, None)
        return web.Response(body=wire.encode(self._rings.versions()))

    async def take_ring(self, request: web.Request) -> web.Response:
        """A ring that may be newer."""
        body = await request.read()
        self._check(request, body)
        try: self._rings.take(request.match_info["name"], body)
        except RingBroken as failure: raise NodeDown(reason=str(failure)) from failure
        return web.Response(body=wire.encode(None))

    async def open(self, request: web.Request) -> web.Response:
        """What a file is, and its bytes if they're few."""
        self._check(request, None)
        source = await self._node.open(*self._place(request), request.query.get("past") == "1")
        await source.close()
        told = wire.encode((source.record, source.info))
        return web.Response(body=len(told).to_bytes(4, "little") + told + source.head)

    async def read(self, request: web.Request) -> web.StreamResponse:
        """A range of a file's bytes, if it is still the same file."""
        self._check(request, None)
        source = await self._node.open(*self._place(request), True)
        try:
            if source.record.timestamp != int(request.query["timestamp"]): raise NoObject(timestamp=source.record.timestamp)
            start, stop = int(request.query["start"]), min(int(request.query["stop"]), source.record.length)
            response = web.StreamResponse()
            response.content_length = stop - start
            await response.prepare(request)
            async for piece in source.read(start, stop): await response.write(piece)
            await response.write_eof()
            return response
        finally: await source.close()


async def _frame(request: web.Request) -> tuple[bytes, bytes]:
    """The next frame. Raises NodeDown when the stream ends or is nonsense."""
    head: Any = await _exactly(request, 5)
    size = int.from_bytes(head[1:], "little")
    if head[:1] not in (b"D", b"C") or size > FRAME_BYTES: raise NodeDown(reason="not a frame")
    return head[:1], await _exactly(request, size)


async def _exactly(request: web.Request, size: int) -> bytes:
    try: return await request.content.readexactly(size)
    except (EOFError, ConnectionError) as failure: raise NodeDown(reason="the upload was broken off") from failure


async def _end(upload: LocalUpload) -> None:
    try: await upload.abort()
    except NodeDown: pass
