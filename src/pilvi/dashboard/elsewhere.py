"""The way from the page to a service in another process: over a socket, to its catalogue address."""
from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from pilvi.core.context import Call
from pilvi.core.http import trust
from pilvi.dashboard import errors
from pilvi.dashboard.session import Session

VERSION = re.compile(r"/v\d[\w.]*(?=/|$)")
SECONDS = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


async def forward(call: Call, found: Session, service: str, path: str, headers: list[tuple[str, str]], receive: Any,
                  send: Any) -> None:
    """A service that another process serves: at its catalogue address, up to the version."""
    assert call.request is not None
    endpoint = found.about["endpoints"].get(service)
    if not endpoint or service == "dashboard": raise errors.NoSuchService(service=service[:80])
    parts = urlsplit(endpoint)
    prefix = VERSION.split(parts.path, maxsplit=1)[0].rstrip("/")
    query = f"?{call.request.query_string}" if call.request.query_string else ""
    target = URL(f"{parts.scheme}://{parts.netloc}{prefix}/{quote(path, safe='%/:@!$&()*+,;=~-._' + chr(39))}{query}", encoded=True)
    body = _pieces(receive) if call.request.method in ("PUT", "POST", "PATCH") else None
    sent = {name: value for name, value in headers if name != "host"}
    async with aiohttp.ClientSession(timeout=SECONDS, auto_decompress=False, trust_env=False) as client:
        try:
            async with client.request(call.request.method, target, data=body, headers=sent, allow_redirects=False,
                                      ssl=trust.context()) as answer:
                await send({"type": "http.response.start", "status": answer.status, "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]})
                async for piece in answer.content.iter_chunked(65536):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as failure:
            raise errors.NoAnswer(service=service) from failure


async def _pieces(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect": return
        if message.get("body"): yield message["body"]
        if not message.get("more_body"): return
