"""Addresses of consoles, the page, and the WebSocket's checks; the machine behind it is a socket that echoes."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pilvi.compute.agent.console import Consoles
from pilvi.compute.drivers.interface import HypervisorFailure
from pilvi.compute.resources.console import ConsoleTicket, serve_socket, server_of
from pilvi.compute.resources.server import Server
from pilvi.compute.service import SERVICE
from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.errors import Unauthenticated
from pilvi.core.http.app import Application, Request

ROLES = {"admin": ("admin", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",)}
FLAVOR = {"name": "f", "vcpus": 1, "ram": 1, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}}
VNC, SERIAL = {"protocol": "vnc", "type": "novnc"}, {"protocol": "serial", "type": "serial"}


def identify(token: str, story: object) -> Identity:
    """Who "role@project" is."""
    role, _, project = token.partition("@")
    if role not in ROLES: raise Unauthenticated()
    return Identity(user_id=f"{role}-of-{project}", project_id=project, roles=ROLES[role], expires_at=clock.now() + 600)


class Machines:
    """The host's driver: one machine's screen says hello and echoes; another machine does not run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def console_socket(self, server_id: str, kind: str) -> str:
        if server_id != "running": raise HypervisorFailure("it does not run")
        return str(self.path / kind)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/compute.sqlite")
        migrate(self.database, "compute", [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables])
        self.app = Application(SERVICE, database=self.database)
        self.app.authenticator.ask = identify
        (folder / "novnc").mkdir()
        (folder / "novnc/vnc_lite.html").write_text("<html><title>noVNC</title></html>")
        (folder / "secret").write_text("secret")
        self.app.state |= {"novnc": folder / "novnc", "console_socket": folder / "console.sock"}
        with self.database.write() as db:
            for id, state in (("running", "active"), ("off", "stopped")):
                db.add(Server(id=id, name=id, project_id="p1", user_id="u", state=state, host="node1", flavor=FLAVOR, flavor_id="1"))
        Consoles(folder / "console.sock", 0, self._redeem, lambda id: Machines(folder)).start()

    def _redeem(self, ticket: str) -> dict[str, Any]:
        server_id, kind = server_of(self.app, ticket)
        return {"server_id": server_id, "kind": kind}

    def ask(self, who: str, path: str, body: Any, version: str = "2.60") -> tuple[int, Any]:
        headers = {"x-auth-token": who, "openstack-api-version": f"compute {version}", "content-type": "application/json"}
        answer = self.app.handle(Request("POST", path, "", headers, json.dumps(body).encode(), base="http://cloud:5000/compute"))
        return answer.status, json.loads(answer.payload() or b"null")

    def remote(self, who: str = "member@p1", server: str = "running", asked: dict[str, str] = VNC) -> tuple[int, Any]:
        return self.ask(who, f"/v2.1/servers/{server}/remote-consoles", {"remote_console": asked})

    def ticket(self, asked: dict[str, str] = VNC) -> str:
        status, body = self.remote(asked=asked)
        assert status == 200, body
        return str(body["remote_console"]["url"].rpartition("%3D" if asked is VNC else "=")[2])

    def get(self, path: str) -> tuple[int, bytes]:
        """A page, without a token."""
        sent: list[Any] = []

        async def receive() -> Any: return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None: sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def converse(self, ticket: str, says: bytes = b"", expects: int = 0, **headers: str) -> tuple[str, bytes]:
        """Opens the WebSocket, says something, reads as much as is expected: (first answer's type, bytes)."""
        return asyncio.run(self._converse(ticket, says, expects, headers))

    async def _converse(self, ticket: str, says: bytes, expects: int, headers: dict[str, str]) -> tuple[str, bytes]:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        for message in ({"type": "websocket.connect"}, *([{"type": "websocket.receive", "bytes": says}] if says else [])):
            inbox.put_nowait(message)
        given = [(name.encode(), value.encode()) for name, value in {"host": "cloud:5000", **headers}.items()]
        scope = {"type": "websocket", "path": "/compute/console/socket", "query_string": f"token={ticket}".encode(), "headers": given,
                 "subprotocols": ["binary"]}
        machine = await asyncio.start_unix_server(_screen, str(self.folder / "vnc"))
        served = asyncio.ensure_future(serve_socket(self.app, scope, inbox.get, outbox.put))
        first, data = (await asyncio.wait_for(outbox.get(), 20))["type"], b""
        while first == "websocket.accept" and len(data) < expects:
            message = await asyncio.wait_for(outbox.get(), 20)
            if message["type"] == "websocket.close": break
            data += message["bytes"]
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(served, 20)
        machine.close()
        return first, data

    def close(self) -> None:
        self.app.close()
        self.database.close()


async def _screen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"RFB 003.008\n")
    while data := await reader.read(100): writer.write(data.upper())
    writer.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_url_is_what_novnc_reads(world: World) -> None:
    status, body = world.remote()
    url = urlsplit(body["remote_console"]["url"])
    assert (status, url.netloc, url.path) == (200, "cloud:5000", "/compute/console/vnc_lite.html")
    socket = urlsplit("/" + parse_qs(url.query)["path"][0])
    assert socket.path == "/compute/console/socket" and len(parse_qs(socket.query)["token"][0]) == 32
    assert body["remote_console"] | {"url": ""} == {**VNC, "url": ""}


def test_before_remote_consoles(world: World) -> None:
    status, body = world.ask("member@p1", "/v2.1/servers/running/action", {"os-getVNCConsole": {"type": "novnc"}}, "2.1")
    assert status == 200 and "vnc_lite.html?path=" in body["console"]["url"]
    status, body = world.ask("member@p1", "/v2.1/servers/running/action", {"os-getSerialConsole": {"type": "serial"}}, "2.1")
    assert status == 200 and body["console"]["url"].startswith("ws://cloud:5000/compute/console/socket?token=")
    assert world.ask("member@p1", "/v2.1/servers/running/action", {"os-getVNCConsole": {"type": "xvpvnc"}}, "2.1")[0] == 400
    assert world.ask("member@p1", "/v2.1/servers/running/action", {"os-getVNCConsole": {"type": "novnc"}}, "2.6")[0] == 400


@pytest.mark.parametrize(("who", "server", "asked", "status"), [
    ("member@p2", "running", VNC, 404), ("reader@p1", "running", VNC, 403), ("admin@p9", "running", VNC, 200),
    ("member@p1", "off", VNC, 409), ("member@p1", "nothing", VNC, 404), ("member@p1", "running", SERIAL, 200),
    ("member@p1", "running", {"protocol": "spice", "type": "spice-html5"}, 400),
    ("member@p1", "running", {"protocol": "vnc", "type": "serial"}, 400)])
def test_who_gets_one(world: World, who: str, server: str, asked: dict[str, str], status: int) -> None:
    assert world.remote(who, server, asked)[0] == status


def test_a_cloud_without_the_page_says_so(world: World) -> None:
    (world.folder / "novnc").rename(world.folder / "gone")
    assert world.remote()[0] == 501
    assert world.get("/console/vnc_lite.html")[0] == 501
    assert world.remote(asked=SERIAL)[0] == 200


def test_simulated_machines_have_none(world: World) -> None:
    world.app.state["console_socket"] = world.folder / "nobody"
    assert world.remote()[0] == world.remote(asked=SERIAL)[0] == 501


def test_page_and_nothing_else(world: World) -> None:
    assert world.get("/console/vnc_lite.html") == (200, b"<html><title>noVNC</title></html>")
    for path in ("/console/../secret", "/console/%2e%2e/secret", "/console/nothing.js", "/console/"):
        status, body = world.get(path)
        assert status >= 400 and b"secret" not in body, path


def test_bytes_both_ways(world: World) -> None:
    assert world.converse(world.ticket(), b"hello", 17, origin="http://cloud:5000") == ("websocket.accept", b"RFB 003.008\nHELLO")


def test_wrong_origin(world: World) -> None:
    assert world.converse(world.ticket(), origin="http://evil.example")[0] == "websocket.close"


def test_made_up_ticket(world: World) -> None:
    assert world.converse("made-up")[0] == "websocket.close"


def test_ticket_ends(world: World) -> None:
    ticket = world.ticket()
    with world.database.write() as db: db.query(ConsoleTicket).update({"expires_at": clock.now() - 1})
    assert world.converse(ticket)[0] == "websocket.close"


def test_ticket_is_kept_hashed(world: World) -> None:
    ticket = world.ticket()
    assert not any(ticket.encode() in path.read_bytes() for path in world.folder.glob("compute.sqlite*"))


def test_stopped_meanwhile(world: World) -> None:
    ticket = world.ticket()
    with world.database.write() as db: db.query(ConsoleTicket).update({"server_id": "off"})
    assert world.converse(ticket, expects=1) == ("websocket.accept", b"")
