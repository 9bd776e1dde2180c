"""All services of a simulated cloud in this process, with two projects and people in them; no agent, so nothing gets a host."""
from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilvi.core.http import auth, client
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import Route
from pilvi.run.bootstrap import passwords
from pilvi.run.server import Control
from pilvi.run.settings import Settings, prepare, save

PEOPLE = {"member": ("one", "member"), "reader": ("one", "reader"), "stranger": ("two", "member"), "admin": ("two", "admin")}
"""{who: (project, role)}"""
LATEST = {"compute": "compute latest", "volume": "volume latest", "placement": "placement latest"}


@dataclass
class Cloud:
    """The running services, and what people say to them."""
    applications: dict[str, Application]
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, who: str, service: str, method: str, path: str, body: Any = None, *, raw: bytes | None = None, query: str = "",
            headers: dict[str, str] | None = None) -> Response:
        """The response; its body as JSON where it is."""
        application = self.applications[service]
        sent = {"x-auth-token": self.tokens[who]} if who in self.tokens else {}
        if service in LATEST: sent["openstack-api-version"] = LATEST[service]
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        path, _, inline = path.partition("?")
        request = Request(method, path, inline or query, sent | (headers or {}), data, base=f"http://cloud/{service}")
        reply = application.handle(request) if not application._streaming(request) else _streamed(application, request)
        try: reply.body = json.loads(reply.payload() or b"null")
        except (ValueError, UnicodeDecodeError): pass
        return reply

    def make(self, who: str, service: str, path: str, kind: str, **values: Any) -> Any:
        """A new thing; `kind` is its envelope, or empty."""
        reply = self.ask(who, service, "POST", path, {kind: values} if kind else values)
        assert 200 <= reply.status < 300, (path, reply.status, reply.body)
        return reply.body[kind] if kind else reply.body

    def routes(self) -> Iterator[tuple[str, Route]]:
        """Every route of every service."""
        for name, application in self.applications.items():
            for route in application.routes.all: yield name, route

    def _sign_in(self, user: str, password: str, project: str) -> str:
        reply = self.ask("", "identity", "POST", "/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}}}})
        assert reply.status == 201, reply.body
        return reply.headers["X-Subject-Token"]

    def people(self, admin_password: str) -> None:
        """Makes the two projects and the people, and signs them in."""
        self.tokens["root"] = self._sign_in("admin", admin_password, "admin")
        roles = {role["name"]: role["id"] for role in self.ask("root", "identity", "GET", "/v3/roles").body["roles"]}
        projects = {name: self.make("root", "identity", "/v3/projects", "project", name=name)["id"] for name in ("one", "two")}
        for who, (project, role) in PEOPLE.items():
            user = self.make("root", "identity", "/v3/users", "user", name=f"test-{who}", password=who)["id"]
            self.ask("root", "identity", "PUT", f"/v3/projects/{projects[project]}/users/{user}/roles/{roles[role]}")
            self.tokens[who] = self._sign_in(f"test-{who}", who, project)


def _streamed(application: Application, request: Request) -> Response:
    """The way of bodies that come in pieces, over ASGI."""
    sent: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": request.body}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0) if len(pieces) > 1 else pieces[0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": request.method, "path": request.path, "raw_path": request.path.encode("latin-1", "replace"),
             "query_string": request.query_string.encode("latin-1", "replace"), "root_path": "", "scheme": "http", "client": None,
             "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()]}
    asyncio.run(application(scope, receive, send))
    return Response(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


@contextmanager
def running_cloud(database_url: str = "") -> Iterator[Cloud]:
    """A cloud with its people; over SQLite unless told otherwise."""
    folder = Path(tempfile.mkdtemp(prefix="pilvi-", dir="/var/tmp"))  # not under pytest's: a unix socket's path must be short
    settings = Settings(state=str(folder), simulated=True, unprivileged=False, database_url=database_url)
    before = dict(client.TRANSPORTS), dict(auth.VALIDATORS)
    prepare(settings)
    save(settings)
    control = Control(settings)
    try:
        control.start()
        cloud = Cloud(control.applications)
        cloud.people(passwords(settings)["admin"])
        yield cloud
    finally:
        control.stop()
        for known, old in zip((client.TRANSPORTS, auth.VALIDATORS), before, strict=True):
            known.clear()
            known.update(old)  # type: ignore[arg-type]
        shutil.rmtree(folder, ignore_errors=os.getuid() != 0)
