"""The door: from ASGI to a request of the chain, and from its response back to the client. Bodies stream both ways; a client that stalls
is dropped after STALLED_SECONDS, so nothing it holds (files, temporary files) stays.
"""
from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import structlog

from pilvi.core import clock
from pilvi.objectstore.errors import ClientGone, Refused
from pilvi.objectstore.proxy.message import Handler, Request, Response, parse_query, refusal
from pilvi.objectstore.proxy.traffic import Traffic

LOG = structlog.get_logger()
STALLED_SECONDS = 60.0
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
DRAINED = 128 << 20
"""So much of a body that nobody read is taken, so that the client meets the answer and not a closed connection."""


class Body:
    """A request's body as it arrives."""

    def __init__(self, receive: Any) -> None:
        self.receive, self.done, self.begun, self.size = receive, False, False, 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self.done:
            self.begun = True
            try:
                async with asyncio.timeout(STALLED_SECONDS): message = await self.receive()
            except TimeoutError: raise Refused(408, headers={"connection": "close"}) from None
            if message["type"] == "http.disconnect": raise ClientGone
            piece: bytes = message.get("body", b"")
            self.done = not message.get("more_body", False)
            self.size += len(piece)
            if piece: return piece
        raise StopAsyncIteration


class Door:
    """The ASGI application."""

    def __init__(self, chain: Handler, traffic: Traffic) -> None:
        self.chain, self.traffic = chain, traffic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http": return
        body = Body(receive)
        request = request_of(scope, body)
        try: response = await self.chain(request)
        except ClientGone: return
        except Refused as failure: response = refusal(failure)
        sent = 0
        try:
            await self._settle(request, response, body)
            sent = await send_response(request, response, send)
        except (TimeoutError, ClientGone):
            LOG.info("client stalled", trans_id=request.trans_id, path=request.raw_path[:200])
        finally:
            await response.close()
            self.traffic.count(request.notes.get("path", request.path), body.size, sent)

    async def _settle(self, request: Request, response: Response, body: Body) -> None:
        """What the client still wants to send is taken, or the connection is closed after the answer."""
        if body.done: return
        announced = request.headers.get("content-length", "0")
        chunked = "transfer-encoding" in request.headers
        if announced == "0" and not chunked: return
        if "expect" in request.headers and not body.begun:
            response.headers["connection"] = "close"
            return
        try:
            async with asyncio.timeout(2):
                before = body.size
                async for _ in body:
                    if body.size - before > DRAINED: break
        except (TimeoutError, Refused, ClientGone): pass
        if not body.done: response.headers["connection"] = "close"


def request_of(scope: Any, body: Body) -> Request:
    """The chain's request of an ASGI scope."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("utf-8", "surrogateescape")
        text = value.decode("utf-8", "surrogateescape")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").removeprefix(scope.get("root_path", ""))
    query_string = scope.get("query_string", b"").decode("latin-1")
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http"))
    host = headers.get("x-forwarded-host") or headers.get("host", "localhost")
    suffix = headers.get("x-trans-id-extra", "")[:32]
    trans_id = f"tx{secrets.token_hex(11)[:21]}-{int(clock.now()):010x}" + (f"-{suffix}" if suffix.isprintable() and suffix else "")
    return Request(scope["method"], unquote(path, errors="surrogateescape"), parse_query(query_string), headers, body,
                   (scope.get("client") or ("",))[0], f"{scheme}://{host}", trans_id, path, query_string)


class Cased(bytes):
    """A header's name that stays X-Object-Meta-Color: the server would write it in lower case, and there are clients that look."""

    def lower(self) -> Cased:
        return self


PLAIN_NAMES = ("content-length", "connection", "transfer-encoding")
"""The server itself looks for these."""


@lru_cache(4096)
def _titled(name: str) -> bytes:
    if name in PLAIN_NAMES or not name.isascii(): return name.encode("utf-8", "surrogateescape")
    return Cased("-".join(word.capitalize() for word in name.split("-")).encode())


async def send_response(request: Request, response: Response, send: Any) -> int:
    """Sends it; the number of bytes of its body. Raises TimeoutError when the client does not take them."""
    headers, body = response.headers, response.body
    if isinstance(body, bytes):
        if response.status not in (204, 304) and (request.method != "HEAD" or body): headers["content-length"] = str(len(body))
        elif response.status == 304: headers.pop("content-length", None)
    elif (ranged := response.ranged) is not None: headers["content-length"] = str(ranged.length)
    headers["x-trans-id"] = headers["x-openstack-request-id"] = request.trans_id
    await send({"type": "http.response.start", "status": response.status,
                "headers": [(_titled(name), _value(value)) for name, value in headers.items()]})
    if isinstance(body, bytes) or request.method == "HEAD":
        whole = body if isinstance(body, bytes) and request.method != "HEAD" else b""
        await send({"type": "http.response.body", "body": whole})
        return len(whole)
    sent = 0
    async for piece in response.pieces():
        async with asyncio.timeout(STALLED_SECONDS): await send({"type": "http.response.body", "body": piece, "more_body": True})
        sent += len(piece)
    await send({"type": "http.response.body", "body": b""})
    return sent


def _value(value: str) -> bytes:
    return CONTROL.sub(" ", value).encode("utf-8", "surrogateescape")
