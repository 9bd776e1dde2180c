"""A dashboard in process before a real identity, and browsers that keep their cookie and tell where they come from."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.requests.identity.cloud import new_identity

from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import auth, client
from pilvi.core.http.app import Application
from pilvi.core.http.inprocess import InProcess
from pilvi.dashboard.service import SERVICE
from pilvi.dashboard.single_sign_on import PATH
from pilvi.identity.client import validate

HOST = "cloud.test"


class Cloud:
    """What the control process is to the dashboard: the services by their mount points, called as one ASGI application."""

    def __init__(self, applications: list[Application]) -> None:
        self.by_mount = {application.service.mount: application for application in applications}
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        mount = "/" + scope["path"].lstrip("/").partition("/")[0]
        await self.by_mount[mount]({**scope, "root_path": mount}, receive, send)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """Keeps the cookie as browsers do; adds what a page's script adds."""
    cloud: Cloud
    cookie: str = ""
    csrf: str = ""
    sent: dict[str, str] = field(default_factory=lambda: {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return asyncio.run(self.asks(method, path, body, **headers))

    async def asks(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        path, _, query = path.partition("?")
        given = {"host": HOST, "content-type": "application/json", "x-csrf-token": self.csrf, **self.sent,
                 **{name.replace("_", "-"): value for name, value in headers.items()}, **({"cookie": self.cookie} if self.cookie else {})}
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope = {"type": "http", "scheme": "http", "method": method, "path": unquote("/dashboard" + path), "client": ("127.0.0.1", 1),
                 "raw_path": f"/dashboard{path}".encode(), "query_string": query.encode(),
                 "headers": [(k.encode(), v.encode()) for k, v in given.items() if v]}
        messages: list[dict[str, Any]] = []
        pieces = [{"type": "http.request", "body": sent}]

        async def receive() -> Any:
            return pieces.pop(0) if pieces else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.cloud(scope, receive, send)
        found = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
        if "set-cookie" in found: self.cookie = found["set-cookie"].partition(";")[0]
        return Answer(messages[0]["status"], found, b"".join(m.get("body", b"") for m in messages[1:]))

    def sign_in(self, user: str = "demo", **more: str) -> Answer:
        answer = self.ask("POST", "/session", {"user": user, "password": f"{user}!"} | more)
        if answer.status == 200: self.csrf = answer.json()["csrf"]
        return answer


@pytest.fixture
def dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    identity = new_identity(tmp_path)
    client.connect("identity", InProcess(identity, f"http://{HOST}/identity"))
    monkeypatch.setitem(auth.VALIDATORS, "identity", validate)
    database = Database(f"sqlite:///{tmp_path}/dashboard.sqlite")
    migrate(database, "dashboard", [table.__table__ for table in SERVICE.tables])
    application = Application(SERVICE, database=database, identity_url=f"http://{HOST}/identity")
    files = tmp_path / "page"
    (files / "assets").mkdir(parents=True)
    (files / "index.html").write_text("<!doctype html><title>Pilvi</title>" + " " * 500)
    (files / "assets" / "a-123.js").write_text("1")
    receiver = f"http://{HOST}/dashboard{PATH}"
    application.state |= {"dashboard_files": files, "cloud": Cloud([identity, application]), "dashboard_receiver": receiver}
    identity.state |= {"federation_directory": tmp_path / "federation", "dashboard_receiver": receiver}
    yield application
    for each in (application, identity):
        each.close()
        each.database.close()


@pytest.fixture
def browser(dashboard: Application) -> Browser:
    return Browser(dashboard.state["cloud"])
