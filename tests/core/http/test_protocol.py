"""Heads that are too long or come too slowly end the connection; everything else is as ever."""
from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from pilvi.core.http import protocol


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    server = uvicorn.Server(uvicorn.Config(hello, port=0, log_level="error", lifespan="off", http=protocol.BoundedHttp))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def say(port: int, *pieces: bytes, wait: float = 0.0) -> bytes:
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        for piece in pieces:
            try: line.sendall(piece)
            except OSError: break
            time.sleep(wait)
        answer = b""
        try:
            while piece := line.recv(65536): answer += piece
        except OSError: pass
        return answer


def test_a_request(port: int) -> None:
    assert say(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"hi")


def test_a_flood_of_headers(port: int) -> None:
    flood = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 100) for n in range(1000))
    assert say(port, b"GET / HTTP/1.1\r\nHost: x\r\n", flood, flood).startswith(b"HTTP/1.1 400")


def test_a_head_that_never_ends(port: int) -> None:
    began = time.monotonic()
    assert say(port, b"GET / HT", b"TP/1.1\r\n", wait=0.1) == b""
    assert time.monotonic() - began < 4
