"""Addresses that users give: only public ones, resolved once, redirects checked, bounded in time and size; own ones inside the process."""
from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pilvi.core.errors import Unavailable
from pilvi.core.http import fetch
from pilvi.core.http.client import Message, Reply


class Site(BaseHTTPRequestHandler):
    """/echo tells what came, /to?URL redirects there, /long answers 100 kB, /drip never ends."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        Site.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        path, _, query = self.path.partition("?")
        if path == "/to":
            self.send_response(307 if "keep" in query else 302)
            self.send_header("location", query.removeprefix("keep="))
            self.end_headers()
        elif path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            try:
                for _ in range(2000):
                    self.wfile.write(b"x-drip: 1\r\n")
                    time.sleep(0.05)
            except OSError: pass
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 100_000 if path == "/long" else b"hello")

    do_GET = do_POST = _answer

    def log_message(self, *words: Any) -> None: pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server on this machine, and this machine among the allowed networks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    Site.seen = []
    monkeypatch.setattr(fetch, "OWN", {})
    fetch.configure(fetch.Config(networks=["127.0.0.1/32"]))
    yield f"http://127.0.0.1:{server.server_port}"
    fetch.configure(fetch.Config())
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
                                     "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
                                     "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:0:1::1", "ff02::1"])
def test_what_is_not_public_is_not_allowed(address: str) -> None:
    assert not fetch.allowed(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(fetch.Refused): fetch.check(f"http://{host}/x")
    with pytest.raises(fetch.Refused): fetch.fetch(f"http://{host}/x")


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert fetch.allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "http://", "//example.com/", "http://user@example.com/",
                                 "http://example.com:99999/", "http://exa mple.com/", "http://example.com/\r\nx: y", "gopher://x", ""])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(fetch.Refused): fetch.check(url)
    with pytest.raises(fetch.Refused): fetch.fetch(url)


@pytest.mark.parametrize("form", ["127.1", "2130706433", "0x7f000001", "localhost"])
def test_other_spellings_of_this_machine_are_refused(form: str) -> None:
    with pytest.raises((fetch.Refused, Unavailable)): fetch.fetch(f"http://{form}:9/")


def test_a_request_arrives_as_it_was_meant(site: str) -> None:
    reply = fetch.fetch(site + "/echo?a=1", method="POST", headers={"Content-Type": "text/plain"}, body=b"data")
    assert (reply.status, reply.body) == (200, b"hello")
    method, path, headers, body = Site.seen[0]
    assert (method, path, body, headers["content-type"]) == ("POST", "/echo?a=1", b"data", "text/plain")
    assert headers["host"] == site.removeprefix("http://")


def test_a_name_is_resolved_once(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time leads nowhere else."""
    port, answers = int(site.rpartition(":")[2]), ["127.0.0.1", "10.9.9.9"]
    asked: list[str] = []

    def resolve(name: str, port: int, **_: Any) -> list[Any]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[min(len(asked), len(answers)) - 1], port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: resolve(host, port, **k) if "example" in str(host)
                        else real(host, *a, **k))
    assert fetch.fetch(f"http://hook.example:{port}/echo").status == 200
    assert asked == ["hook.example"]
    assert Site.seen[0][2]["host"] == f"hook.example:{port}"
    with pytest.raises(fetch.Refused, match=r"10\.9\.9\.9"): fetch.fetch(f"http://hook.example:{port}/echo")


def test_one_bad_address_among_several_refuses_the_name(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
                                                                for address in ("127.0.0.1", "10.0.0.1")])
    with pytest.raises(fetch.Refused): fetch.fetch("http://both.example/")
    assert Site.seen == []


def test_redirects_are_checked_like_new_addresses(site: str) -> None:
    assert fetch.fetch(f"{site}/to?/echo").body == b"hello"
    with pytest.raises(fetch.Refused): fetch.fetch(f"{site}/to?http://10.0.0.1/")
    with pytest.raises(fetch.Refused): fetch.fetch(f"{site}/to?file:///etc/passwd")
    with pytest.raises(fetch.Refused, match="redirects"): fetch.fetch(f"{site}/to?/to", redirects=3)


def test_redirects_keep_the_body_only_where_the_status_says_so(site: str) -> None:
    fetch.fetch(f"{site}/to?keep=/echo", method="POST", body=b"data")
    fetch.fetch(f"{site}/to?/echo", method="POST", body=b"data")
    assert [(method, body) for method, path, _, body in Site.seen if path == "/echo"] == [("POST", b"data"), ("GET", b"")]


def test_a_token_does_not_follow_to_another_place(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    other = site.replace("127.0.0.1", "other.example")
    fetch.fetch(f"{site}/to?{other}/echo", headers={"X-Auth-Token": "secret", "x-kept": "1"})
    fetch.fetch(f"{site}/to?/echo?same", headers={"X-Auth-Token": "secret"})
    found = {path: headers for _, path, headers, _ in Site.seen}
    assert "x-auth-token" not in found["/echo"] and found["/echo"]["x-kept"] == "1"
    assert found["/echo?same"]["x-auth-token"] == "secret"


def test_size_and_time_are_bounded(site: str) -> None:
    with pytest.raises(fetch.Refused, match="longer than"): fetch.fetch(site + "/long", most_bytes=50_000)
    assert len(fetch.fetch(site + "/long", most_bytes=100_000).body) == 100_000
    began = time.monotonic()
    with pytest.raises(Unavailable, match="too long"): fetch.fetch(site + "/drip", timeout_seconds=0.5)
    assert time.monotonic() - began < 60, "not as long as the site goes on"


def test_nobody_there(site: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Unavailable): fetch.fetch(f"http://127.0.0.1:{port}/")


def test_own_addresses_are_called_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inside:
        name = "in-process"
        seen: list[Message] = []

        def send(self, message: Message) -> Reply:
            self.seen.append(message)
            return Reply(204, {}, b"")

    inside = Inside()
    monkeypatch.setattr(fetch, "OWN", {})
    fetch.own("http://10.0.0.1:5000/orchestration", inside)
    assert fetch.fetch("http://10.0.0.1:5000/orchestration/v1/signal?x=1", method="POST", body=b"{}").status == 204
    assert (inside.seen[0].method, inside.seen[0].path, inside.seen[0].body) == ("POST", "/v1/signal?x=1", b"{}")
    with pytest.raises(fetch.Refused): fetch.fetch("http://10.0.0.1:5000/orchestrationx/v1")
    with pytest.raises(fetch.Refused): fetch.fetch("http://10.0.0.1:5001/orchestration/v1")
