"""An image service in process over SQLite and a directory; and the same on a port of the loopback interface."""
from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from pilvi.core.context import Call, Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import client
from pilvi.core.http.app import Application, Request, Response
from pilvi.image.config import Config
from pilvi.image.service import SERVICE

ROLES = {"admin": ("admin", "manager", "member", "reader"), "reader": ("reader",), "service": ("service",)}
BYTES = {"content-type": "application/octet-stream"}


def who(token: str, story: Any) -> Identity:
    """The token is the project's name; reader-x reads in project x, system is an administrator of no project."""
    if token == "system": return Identity("root", system=True, roles=ROLES["admin"], expires_at=9e9)
    kind, _, project = token.rpartition("-")
    return Identity(f"user-{token}", project_id=project, roles=ROLES.get(kind or token, ("member", "reader")), expires_at=9e9)


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    database = Database(f"sqlite:///{tmp_path}/image.sqlite")
    tables = [resource.table.__table__ for resource in SERVICE.resources] + [table.__table__ for table in SERVICE.tables]
    migrate(database, "image", tables)
    made = Application(SERVICE, database=database, grant_key=b"k" * 32, config=Config(least_free_mib=0, lease_seconds=5))
    made.state["image_directory"] = tmp_path / "images"
    SERVICE.start(made)  # type: ignore[misc]
    made.authenticator.ask = who
    yield made
    made.close()
    database.close()


@pytest.fixture
def ask(application: Application) -> Callable[..., Response]:
    """ask("GET", "/v2/…", body, token=…) → Response, its body as JSON."""
    def send(method: str, path: str, body: Any = None, *, token: str = "one", **headers: str) -> Response:
        path, _, query = path.partition("?")
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"x-auth-token": token}
        reply = application.handle(Request(method, path, query, headers, json.dumps(body).encode() if body is not None else b"",
                                           base="http://cloud/image"))
        reply.body = json.loads(reply.payload() or b"null")
        return reply

    return send


@pytest.fixture
def stream(application: Application) -> Callable[..., httpx.Response]:
    """stream("PUT", "/v2/…/file", content) → httpx's response, over ASGI."""
    def send(method: str, path: str, content: Any = None, *, token: str = "one", **headers: str) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as browser:
                return await browser.request(method, path, content=content,
                                             headers=(BYTES if content is not None else {}) | {"x-auth-token": token} | headers)

        return asyncio.run(go())

    return send


@pytest.fixture
def address(application: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The service on a port, and the client connected to it."""
    async def entry(scope: Any, receive: Any, send: Any) -> None:
        await application({**scope, "root_path": "/image"}, receive, send)

    server = uvicorn.Server(uvicorn.Config(entry, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/image"
    monkeypatch.setitem(client.TRANSPORTS, "image", client.Socket(url))
    yield url
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def call() -> Call:
    """A call of a member of project one."""
    return Call(token="one")
