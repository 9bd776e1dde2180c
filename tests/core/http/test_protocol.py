"""Heads that are too long or come too slowly end the connection; everything else is as ever."""
from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from pilvi.core.http import protocol


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["method"] == "PUT": return await echo(scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The path, and the size and MD5 of the body; /early answers before it has read anything."""
    found, more, gone = hashlib.md5(usedforsecurity=False), not scope["path"].startswith("/early"), False
    size = 0
    while more:
        message = await receive()
        gone = gone or message["type"] == "http.disconnect"
        more = message.get("more_body", False)
        found.update(message.get("body", b""))
        size += len(message.get("body", b""))
    LEFT.append(gone)
    answer = f"{scope['path']} {size} {found.hexdigest()};".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(answer)).encode())]})
    await send({"type": "http.response.body", "body": answer})


LEFT: list[bool] = []
"""Whether the client of each echo was gone before its body's end."""


@pytest.fixture
def port() -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(hello, port=0, log_level="error", lifespan="off", http=protocol.BoundedHttp))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def say(port: int, *pieces: bytes, wait: float = 0.0) -> bytes:
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
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


def test_a_head_that_never_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    began = time.monotonic()
    assert say(port, b"GET / HT", b"TP/1.1\r\n", wait=0.1) == b""
    assert time.monotonic() - began < 25, "neither the usual half minute, nor our own patience"


def put(path: str, body: bytes, *more: str) -> bytes:
    return "\r\n".join([f"PUT {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more, "", ""]).encode() + body


def told(path: str, body: bytes) -> bytes:
    return f"{path} {len(body)} {hashlib.md5(body, usedforsecurity=False).hexdigest()};".encode()


@pytest.mark.parametrize("size", [0, 1000, protocol.LONG_BYTES - 1, protocol.LONG_BYTES, 5_000_001])
def test_bodies_of_every_length_and_what_follows_them(port: int, size: int) -> None:
    body = os.urandom(size)
    answer = say(port, put("/a", body) + put("/b", body) + put("/c", b"end", "Connection: close"))
    for path, sent in (("/a", body), ("/b", body), ("/c", b"end")): assert told(path, sent) in answer


def test_a_long_body_in_drops(port: int) -> None:
    body = os.urandom(protocol.LONG_BYTES * 2)
    whole = put("/drops", body, "Connection: close")
    assert told("/drops", body) in say(port, *(whole[at:at + 99_991] for at in range(0, len(whole), 99_991)), wait=0.001)


def test_a_long_body_waits_for_its_permission(port: int) -> None:
    body = os.urandom(protocol.LONG_BYTES * 2)
    answer = say(port, put("/expect", body, "Expect: 100-continue", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 100") and told("/expect", body) in answer


def test_a_long_body_that_nobody_wants_is_passed_over(port: int) -> None:
    answer = say(port, put("/early", os.urandom(3_000_000)) + put("/next", b"x", "Connection: close"))
    assert b"/early 0" in answer and told("/next", b"x") in answer


def test_a_long_body_that_breaks_off(port: int) -> None:
    LEFT.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line: line.sendall(put("/half", os.urandom(2_000_000))[:-1])
    assert told("/after", b"x") in say(port, put("/after", b"x", "Connection: close"))
    end = time.monotonic() + 60
    while len(LEFT) < 2 and time.monotonic() < end: time.sleep(0.01)
    assert sorted(LEFT) == [False, True]


def test_raw_letters_in_addresses(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        for path in ("/p\u00fc", "/\u2603"):
            line.sendall(put(path, b"x"))
            answer = b""
            while not answer.endswith(b";"): answer += line.recv(65536)
            assert told(path, b"x") in answer
