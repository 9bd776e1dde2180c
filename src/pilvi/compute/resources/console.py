"""Consoles: the serial log, and an address at which a browser sees the screen.

Source: Compute API, "Server consoles", "Show Console Output (os-getConsoleOutput)"; microversions 2.6, 2.8, 2.31, 2.99.
A ticket is kept hashed, ends after some minutes and belongs to one server; the page and the WebSocket are served by this process, the bytes
come from the host's agent.
"""
from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column
from starlette.websockets import WebSocket, WebSocketDisconnect

from pilvi.compute import errors
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.server.states import ACTIVE, PAUSED
from pilvi.core import clock
from pilvi.core.bus.interface import RemoteFailure
from pilvi.core.conductor import agent_of
from pilvi.core.context import Call
from pilvi.core.db.types import Instant
from pilvi.core.errors import Invalid, NotServed, Unavailable
from pilvi.core.http.app import Application, Response
from pilvi.core.http.routes import ANYONE, Route, route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.wire import Base

CALL_SECONDS = 20.0
PIECE = 65536
OFFERED = {("vnc", "novnc"): "vnc", ("serial", "serial"): "serial"}
NO_PAGE = "a console in the browser (noVNC is missing; `pilvi up` as root fetches it from Debian)"


class ConsoleTicket(Base):
    __tablename__ = "compute_console_tickets"
    digest: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str]
    host: Mapped[str]
    kind: Mapped[str]
    expires_at: Mapped[float] = mapped_column(Instant)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def server_of(application: Application, ticket: str) -> tuple[str, str]:
    """(server id, vnc or serial) of a ticket. Raises ConsoleRefused."""
    with application.database.read() as db: row = db.get(ConsoleTicket, _digest(ticket))
    if row is None or row.expires_at < clock.now(): raise errors.ConsoleRefused()
    return row.server_id, row.kind


def give(call: Call, server: Any, kind: str) -> str:
    """A new address for a server's console: a page for its screen, a WebSocket for its serial line."""
    assert call.application is not None and call.request is not None
    state = call.application.state
    if not state["console_socket"].exists(): raise NotServed(what="a console (simulated machines have none)")
    if kind == "vnc" and not state["novnc"].is_dir(): raise NotServed(what=NO_PAGE)
    if server.state not in (ACTIVE, PAUSED) or not server.host: raise errors.ConsoleUnavailable(id=server.id, reason="it does not run")
    ticket = secrets.token_urlsafe(24)
    until = clock.now() + call.application.config.console_seconds
    with call.application.database.write() as db:
        db.execute(delete(ConsoleTicket).where(ConsoleTicket.expires_at < clock.now()))
        db.add(ConsoleTicket(digest=_digest(ticket), server_id=server.id, host=server.host, kind=kind, expires_at=until))
    if kind == "serial": return f"{call.request.base.replace('http', 'ws', 1)}/console/socket?token={ticket}"
    prefix = call.request.base.partition("://")[2].partition("/")[2]
    # noVNC opens a WebSocket at `path` on the host that the page came from; the ticket travels inside of it.
    return f"{call.request.base}/console/vnc_lite.html?path={quote(f'{prefix}/console/socket?token={ticket}', safe='')}"


def remote_console(call: Call, id: str) -> dict[str, Any]:
    """POST /servers/{id}/remote-consoles (2.6)"""
    asked = call.body["remote_console"]
    if (asked["protocol"], asked["type"]) not in OFFERED:
        raise Invalid(f"Unsupported console type: {asked['type']}; this cloud offers novnc and serial.")
    return {"remote_console": {**asked, "url": give(call, find(call, id), OFFERED[asked["protocol"], asked["type"]])}}


def find(call: Call, id: str) -> Any:
    """The server, in a transaction of its own."""
    assert call.application is not None
    with call.application.database.read() as call.db:
        row = SERVERS.find(call, id)
        SERVERS.permit(call, "update", {"project_id": row.project_id, "user_id": row.user_id})
    call.db = None
    return row


def output(call: Call, id: str, asked: dict[str, Any]) -> dict[str, Any]:
    """os-getConsoleOutput: the last lines of the serial console, from the host."""
    assert call.application is not None and call.application.bus is not None
    server = find(call, id)
    if not server.host: raise errors.ConsoleUnavailable(id=id, reason="it is on no host yet")
    lines = asked.get("length")
    try:
        answer = call.application.bus.call(f"compute.agent.{agent_of(call.application, server.host)}", "console_log", {
            "server_id": id, "lines": int(lines) if lines not in (None, "", -1, "-1") else None}, deadline_seconds=CALL_SECONDS)
    except (RemoteFailure, Unavailable) as failure: raise errors.ConsoleUnavailable(id=id, reason=failure.message) from None
    return {"output": answer["text"]}


async def page(call: Call, receive: Any, send: Any, file: str) -> Response:
    """GET /console/…: noVNC's files, from the folder that the launcher has put them in."""
    assert call.application is not None
    root: Path = call.application.state["novnc"]
    if not root.is_dir(): raise NotServed(what=NO_PAGE)
    path = (root / file).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file(): raise errors.ConsoleRefused()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Response(200, path.read_bytes(), {
        "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}, kind)


async def serve_socket(application: Application, scope: Any, receive: Any, send: Any) -> None:
    """The WebSocket of a console: checks the ticket and the origin, and copies bytes between browser and agent."""
    socket = WebSocket(scope, receive, send)
    origin, host = socket.headers.get("origin"), socket.headers.get("host", "")
    ticket = socket.query_params.get("token", "")
    loop = asyncio.get_running_loop()
    try:
        if origin and origin.partition("://")[2] != host: raise errors.ConsoleRefused()
        await loop.run_in_executor(application.threads, server_of, application, ticket)
        reader, writer = await asyncio.open_unix_connection(str(application.state["console_socket"]))
    except (errors.ConsoleRefused, OSError, KeyError):
        await socket.close(4403)
        return
    writer.write(ticket.encode() + b"\n")
    await socket.accept("binary" if "binary" in scope.get("subprotocols", ()) else None)
    await _copy(socket, reader, writer)


async def _copy(socket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def to_host() -> None:
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect": return
                writer.write(message.get("bytes") or (message.get("text") or "").encode())
                await writer.drain()
        except (WebSocketDisconnect, OSError, RuntimeError): return

    async def to_browser() -> None:
        try:
            while data := await reader.read(PIECE): await socket.send_bytes(data)
        except (OSError, RuntimeError): return

    tasks = [asyncio.ensure_future(to_host()), asyncio.ensure_future(to_browser())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks: task.cancel()
    writer.close()
    try: await socket.close()
    except RuntimeError: pass


REMOTE = {"type": "object", "required": ["remote_console"], "additionalProperties": False, "properties": {"remote_console": {
    "type": "object", "required": ["protocol", "type"], "additionalProperties": False,
    "properties": {"protocol": {"enum": ["vnc", "spice", "serial", "mks"]},
        "type": {"enum": ["novnc", "xvpvnc", "spice-html5", "serial", "webmks"]}}}}}
_RULE = "os_compute_api:os-remote-consoles"
RULES = {_RULE: Rule(PERSONAS["anyone"])}
ROUTES = [
    route("/v2.1/servers/{id}/remote-consoles", "POST", remote_console, _RULE, since="2.6", body=REMOTE),
    Route("/console/{file:path}", "GET", page, ANYONE, stream=True),
]
