"""Calling another service: errors come back as their kinds, over a socket and in the same process."""
from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.core.shop import Shop

from pilvi.core import errors, trace
from pilvi.core.context import Call
from pilvi.core.http import client
from pilvi.core.http.client import Reply, Socket
from pilvi.core.http.inprocess import InProcess

Open = Callable[[str], Shop]


class Echo(BaseHTTPRequestHandler):
    """Answers with the path and the body; what ends in /close is followed by a closed connection."""
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = self.path.encode() + b" " + body
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if self.path.endswith("/close"): self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mount"
    server.shutdown()
    server.server_close()
    thread.join()


def test_connections_are_kept_and_replaced(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Socket(server)
    monkeypatch.setitem(client.TRANSPORTS, "echo", transport)
    for path in ("/a", "/b", "/close", "/c d", "/close", "/e"):
        reply = client.send(Call(), "echo", "POST", path, body={"x": 1})
        assert reply.body == b"/mount" + path.replace(" ", "%20").encode() + b' {"x":1}'
    assert transport.idle.qsize() == 1


def test_several_connections_that_died_while_idle_cost_one_retry(server: str) -> None:
    transport = Socket(server)
    with transport._connection(True), transport._connection(True), transport._connection(True): pass
    assert transport.idle.qsize() == 3
    for connection in list(transport.idle.queue): connection.sock.shutdown(socket.SHUT_RDWR)
    assert transport.send(client.Message("POST", "/x", {"content-length": "0"})).status == 200


def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setitem(client.TRANSPORTS, "gone", Socket(f"http://127.0.0.1:{probe.getsockname()[1]}"))
        with pytest.raises(errors.Unavailable, match="cannot be reached"): client.send(Call(), "gone", "GET", "/")


def test_in_process_it_is_the_same(shop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.TRANSPORTS, "shop", InProcess(shop("neutron").application, "http://cloud/shop"))
    call = Call(token="member@one")
    made = client.send(call, "shop", "POST", "/v2/things", body={"thing": {"name": "a"}}).json()["thing"]
    assert client.send(call, "shop", "GET", "/v2/things", query={"name": ["a", "b"]}).json()["things"] == [made]
    with pytest.raises(errors.NotFound, match="Thing x could not be found"): client.send(call, "shop", "GET", "/v2/things/x")
    with pytest.raises(errors.Unauthenticated): client.send(Call(token="x"), "shop", "GET", "/v2/things")
    with pytest.raises(errors.Invalid): client.send(call, "shop", "POST", "/v2/things", body={"thing": {}})
    with pytest.raises(errors.Unavailable): client.send(call, "shop", "GET", "/v2/fail")


def test_the_spans_of_the_callee_come_back(shop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.TRANSPORTS, "shop", InProcess(shop("neutron").application, "http://cloud/shop"))
    with trace.active(trace.Trace("s", 1)) as story:
        client.send(Call(token="member@one"), "shop", "GET", "/v2/things", steps={"validate": "boot.21"})
    assert story is not None and [span.name for span in story.spans] == ["boot.21"]


@pytest.mark.parametrize(("status", "body", "kind", "told"), [
    (404, b'{"itemNotFound": {"code": 404, "message": "no server"}}', errors.NotFound, "no server"),
    (409, b'{"NeutronError": {"type": "InUse", "message": "in use", "detail": ""}}', errors.Conflict, "in use"),
    (401, b'{"error": {"code": 401, "message": "sign in", "title": "Unauthorized"}}', errors.Unauthenticated, "sign in"),
    (400, b'{"errors": [{"status": 400, "detail": "not so"}]}', errors.Invalid, "not so"),
    (403, b'{"code": 403, "title": "Forbidden", "message": "not you"}', errors.Forbidden, "not you"),
    (413, b"too much", errors.TooLarge, "too much"), (500, b"{", errors.Unavailable, "answered 500"), (404, b"[]", errors.NotFound, ""),
    (400, b'{"errors": []}', errors.Invalid, ""), (400, b"null", errors.Invalid, ""),
    (404, b'{"error": "plain"}', errors.NotFound, "plain")])
def test_an_error_keeps_its_kind_and_message(status: int, body: bytes, kind: type[errors.Failure], told: str) -> None:
    failure = client.failure_of("other", Reply(status, {}, body))
    assert type(failure) is kind and told in failure.message
