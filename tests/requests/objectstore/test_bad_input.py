"""Bad input over real sockets: the API's error, no object, no file and no descriptor left."""
from __future__ import annotations

import asyncio
import hashlib
import os
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilvi.core.http.app import Application
from pilvi.core.http.protocol import BoundedHttp
from pilvi.objectstore.proxy import door as doors
from pilvi.objectstore.proxy.constraints import FILE_BYTES
from pilvi.objectstore.service import door

Ask = Callable[..., httpx.Response]
LONG = 3_000_000


class Wire:
    """The store behind a socket, and what it holds below its folder."""

    def __init__(self, port: int, path: Path) -> None:
        self.port, self.path = port, path

    def say(self, *pieces: bytes, half: bool = False, gone: bool = False) -> bytes:
        """What is answered until the server closes. `half`: nothing more is sent; `gone`: the client goes once its file has been begun."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            for piece in pieces:
                try: line.sendall(piece)
                except OSError: break
            if gone:
                self.wait_until(lambda: self.held() != (0, 0))
                return b""
            if half: line.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while piece := line.recv(65536): answer += piece
            except OSError: pass
            return answer

    def ask(self, method: str, path: str, body: bytes = b"", *headers: str, sent: int | None = None, **more: bool) -> bytes:
        """A request of the member of project one, of whose body `sent` bytes are sent."""
        lines = [f"{method} /v1/AUTH_one/{path} HTTP/1.1", "Host: x", "X-Auth-Token: member-one", "Connection: close", *headers]
        if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        return self.say("\r\n".join([*lines, "", ""]).encode() + body[:sent], **more)

    def status(self, *given: object, **more: object) -> int:
        """Of its answer; 0 without one."""
        answer = self.ask(*given, **more)  # type: ignore[arg-type]
        return int(answer.split()[1]) if answer else 0

    def held(self) -> tuple[int, int]:
        """(unfinished files, descriptors of object files)"""
        links = []
        for number in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError): links.append(Path(f"/proc/self/fd/{number}").readlink())  # else closed meanwhile
        inside = [link.relative_to(self.path).parts for link in links if link.is_relative_to(self.path)]
        return (sum(1 for _ in self.path.glob("objects/devices/*/tmp/*")),
                sum(any(part in ("tmp", "objects") for part in parts[3:-1]) for parts in inside))

    def places(self) -> set[Path]:
        """What lies above objects' files, where a name with dots might lead."""
        return {path for pattern in ("*", "devices/*", "devices/*/*") for path in self.path.glob(f"objects/{pattern}")}

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Half a minute at most."""
        end = time.monotonic() + 30
        while not reached():
            assert time.monotonic() < end, self.held()
            time.sleep(0.02)

    def is_clean(self) -> None:
        """Nothing unfinished stays, and no object `o` can be seen."""
        self.wait_until(lambda: self.held() == (0, 0))
        assert self.status("GET", "box/o") == 404 and self.ask("GET", "box").endswith(b"\r\n\r\n")


@pytest.fixture
def wire(application: Application, tmp_path: Path) -> Iterator[Wire]:
    server = uvicorn.Server(uvicorn.Config(door(application), port=0, log_config=None, lifespan="off", http=BoundedHttp, loop="uvloop"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: time.sleep(0.01)
    made = Wire(server.servers[0].sockets[0].getsockname()[1], tmp_path)
    assert made.status("PUT", "box") == 201
    yield made
    server.should_exit = True
    thread.join(30)
    asyncio.run(application.state["object_store"].close())


@pytest.mark.parametrize(("size", "how"), [(1000, "half"), (LONG, "half"), (LONG, "gone")])
def test_an_upload_that_is_cut_off(wire: Wire, size: int, how: str) -> None:
    answer = wire.ask("PUT", "box/o", os.urandom(size), sent=size - 1, **{how: True})
    assert not answer or b" 499 " in answer.split(b"\r\n")[0]
    wire.is_clean()


@pytest.mark.parametrize("size", [1000, LONG])
def test_a_wrong_checksum(wire: Wire, size: int) -> None:
    body = os.urandom(size)
    assert wire.status("PUT", "box/o", body, f"ETag: {hashlib.md5(b'other', usedforsecurity=False).hexdigest()}") == 422
    wire.is_clean()
    assert wire.status("PUT", "box/o", body, f"ETag: {hashlib.md5(body, usedforsecurity=False).hexdigest()}") == 201


def test_an_upload_that_stalls(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "STALLED_SECONDS", 0.3)
    assert wire.status("PUT", "box/o", os.urandom(LONG), sent=LONG - 1) == 408
    wire.is_clean()


@pytest.mark.parametrize("chunk", [b"zz\r\nx\r\n0\r\n\r\n", b"5\r\nhel", b"-1\r\n\r\n", b"ffffffffffffffffff\r\nx"])
def test_chunks_that_are_none(wire: Wire, chunk: bytes) -> None:
    answer = wire.ask("PUT", "box/o", chunk, "Transfer-Encoding: chunked", half=True)
    assert not answer or answer.split()[1] in (b"400", b"499")
    wire.is_clean()


@pytest.mark.parametrize("length", ["-1", "x", "1, 2", "99999999999999999999"])
def test_lengths_that_are_none(wire: Wire, length: str) -> None:
    assert wire.status("PUT", "box/o", b"x", f"Content-Length: {length}", half=True) == 400
    wire.is_clean()


def test_one_byte_too_many(wire: Wire) -> None:
    assert wire.status("PUT", "box/o", b"", f"Content-Length: {FILE_BYTES + 1}", "Expect: 100-continue") == 413
    wire.is_clean()


def test_a_full_disk(wire: Wire) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, before[1]))
    try: assert wire.status("PUT", "box/o", os.urandom(3 << 20)) == 507
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    wire.is_clean()
    assert wire.status("PUT", "box/o", os.urandom(3 << 20)) == 201


@pytest.mark.parametrize(("name", "status"), [
    ("a%00b", 412), ("%ff%fe", 412), ("x" * 1024, 201), ("x" * 1025, 400), ("%C3%BC" * 512, 201), ("%C3%BC" * 513, 400)])
def test_names(wire: Wire, name: str, status: int) -> None:
    assert wire.status("PUT", f"box/{name}", b"x") == status


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "%2e%2e/%2e%2e/x", "./o", "a/../b", "//", "a//b", "~", "CON", "a%0Ab", " "])
def test_names_that_are_paths_elsewhere(wire: Wire, name: str) -> None:
    name = name.replace(" ", "%20")
    wire.ask("PUT", "box/first", b"x")
    places = wire.places()
    assert wire.status("PUT", f"box/{name}", name.encode()) == 201
    assert wire.ask("GET", f"box/{name}").endswith(name.encode())
    assert wire.places() == places
    hashed = re.compile(r"[0-9a-f]{32}")
    assert all(hashed.fullmatch(path.name) for path in wire.path.glob("objects/devices/*/objects/*/*"))
    assert wire.status("DELETE", f"box/{name}") == 204


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_every_name(ask: Ask, name: str) -> None:
    ask("PUT", "/v1/AUTH_one/names")
    address = "/v1/AUTH_one/names/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert ask("PUT", address, b"x").status_code == 201
    assert [entry["name"] for entry in ask("GET", "/v1/AUTH_one/names?format=json").json()] == [name]
    assert ask("GET", address).content == b"x"
    assert ask("DELETE", address).status_code == 204
