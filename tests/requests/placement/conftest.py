"""A placement in process over SQLite, and a client that speaks to it."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilvi.core.context import Call, Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import client
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.inprocess import InProcess
from pilvi.placement.service import SERVICE

ROLES = {"admin": ("admin", "manager", "member", "reader"), "service": ("service",), "member": ("member", "reader"), "reader": ("reader",)}


@pytest.fixture
def placement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    database = Database(f"sqlite:///{tmp_path}/placement.sqlite")
    migrate(database, "placement", [table.__table__ for table in SERVICE.tables])
    application = Application(SERVICE, database=database)
    SERVICE.start(application)  # type: ignore[misc]
    application.authenticator.ask = lambda token, story: Identity(f"user-{token}", project_id=f"project-{token}", roles=ROLES[token],
                                                                   expires_at=9e9)
    monkeypatch.setitem(client.TRANSPORTS, "placement", InProcess(application, "http://cloud/placement"))
    yield application
    application.close()
    database.close()


@pytest.fixture
def ask(placement: Application) -> Callable[..., Response]:
    """ask("GET", "/path?query", body, token=…, version=…) → Response, its body as JSON."""
    def send(method: str, path: str, body: Any = None, *, token: str = "service", version: str = "1.39") -> Response:
        path, _, query = path.partition("?")
        headers = {"x-auth-token": token, "openstack-api-version": f"placement {version}"}
        reply = placement.handle(Request(method, path, query, headers, json.dumps(body).encode() if body is not None else b"",
                                         base="http://cloud/placement"))
        reply.body = json.loads(reply.payload() or b"null")
        return reply

    return send


@pytest.fixture
def service(placement: Application) -> Call:
    """A call with a service's token."""
    return Call(token="service")
