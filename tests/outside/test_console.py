"""A server's screen and serial line through the address that the openstack client prints, as a browser would go there."""
from __future__ import annotations

import re
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from tests.outside.clouds import Cloud, wait
from tests.outside.visitor import PATIENCE_MS, chromium_browser
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

pytestmark = [pytest.mark.real, pytest.mark.slow]
SECONDS = 180.0


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("console").while_up(timeout=1500)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    yield from chromium_browser()


class Stream:
    """The WebSocket's bytes, as many as are wanted at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.rest = socket, b""

    def take(self, count: int) -> bytes:
        while len(self.rest) < count:
            piece = self.socket.recv(SECONDS)
            self.rest += piece if isinstance(piece, bytes) else piece.encode()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))


def socket_of(page: str) -> str:
    """The WebSocket that noVNC opens for this page."""
    url = urlsplit(page)
    return f"ws://{url.netloc}/{parse_qs(url.query)['path'][0]}"


def first_frame(socket: ClientConnection) -> tuple[int, int, bytes]:
    """Speaks RFB up to the first picture: (width, height, pixels)."""
    stream = Stream(socket)
    assert stream.take(12) == b"RFB 003.008\n"
    socket.send(b"RFB 003.008\n")
    assert 1 in stream.take(stream.unpack("B")[0]), "no password: the ticket is the key"
    socket.send(b"\x01")
    assert stream.unpack(">I") == (0,)
    socket.send(b"\x01")
    width, height, bits = stream.unpack(">HHB15x")
    stream.take(stream.unpack(">I")[0])
    socket.send(struct.pack(">BxHi", 2, 1, 0) + struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    kind, rectangles = stream.unpack(">BxH")
    assert kind == 0 and rectangles > 0
    pixels = b""
    for _ in range(rectangles):
        _, _, w, h, encoding = stream.unpack(">HHHHi")
        assert encoding == 0
        pixels += stream.take(w * h * bits // 8)
    return width, height, pixels


def test_screen(cloud: Cloud) -> None:
    page = cloud.demo.json("console", "url", "show", "hello")["url"]
    with urllib.request.urlopen(page) as answer: html = answer.read().decode()
    assert "noVNC" in html
    with urllib.request.urlopen(urljoin(page, "core/rfb.js")) as answer:
        assert "javascript" in answer.headers["Content-Type"] and b"RFB" in answer.read()
    url = socket_of(page)
    origin = Origin(f"http://{urlsplit(page).netloc}")

    def something_is_on_it() -> bool:
        with connect(url, origin=origin, subprotocols=[Subprotocol("binary")], max_size=None) as socket:
            width, height, pixels = first_frame(socket)
        assert (width, height) >= (640, 400)
        return len(set(struct.iter_unpack("<I", pixels))) > 1

    wait(something_is_on_it, "there is something on the screen")


def test_in_a_browser(cloud: Cloud, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(cloud.demo.json("console", "url", "show", "hello")["url"])
    expect(page.locator("#status")).to_have_text(re.compile("^Connected to QEMU"))
    colours = ("(c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)"
               "(document.querySelector('canvas'))")
    page.wait_for_function(f"{colours} > 1", timeout=PATIENCE_MS)
    page.close()


def test_serial_line(cloud: Cloud) -> None:
    url = cloud.demo.json("console", "url", "show", "--serial", "hello")["url"]
    with connect(url) as socket:
        socket.send(b"\n")
        said = b""
        while b"login:" not in said:
            piece = socket.recv(SECONDS)
            said += piece if isinstance(piece, bytes) else piece.encode()


def test_refused(cloud: Cloud) -> None:
    url = socket_of(cloud.demo.json("console", "url", "show", "hello")["url"])
    with pytest.raises(InvalidStatus) as refusal: connect(url, origin=Origin("http://evil.example"))
    assert refusal.value.response.status_code == 403
    with pytest.raises(InvalidStatus): connect(url[:-4] + "aaaa")
    cloud.demo.run("server", "stop", "hello")
    wait(lambda: cloud.demo.json("server", "show", "hello")["status"] == "SHUTOFF", "it is off")
    assert "does not run" in cloud.demo.run("console", "url", "show", "hello", fails=True)
    with connect(url) as socket, pytest.raises(ConnectionClosed): socket.recv(SECONDS)
    cloud.demo.run("server", "start", "hello")
    wait(lambda: cloud.demo.json("server", "show", "hello")["status"] == "ACTIVE", "it is on")


def test_nobody_elses_files(cloud: Cloud) -> None:
    page = cloud.demo.json("console", "url", "show", "hello")["url"]
    with pytest.raises(urllib.error.HTTPError): urllib.request.urlopen(urljoin(page, "%2e%2e/%2e%2e/clouds.yaml"))
