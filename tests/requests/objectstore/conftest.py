"""An object store in process: identity's tokens are names, TempAuth has users of its own, bytes lie on one device."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pilvi.core.context import Identity
from pilvi.core.db.session import Database
from pilvi.core.errors import Unauthenticated
from pilvi.core.http.app import Application
from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.config import Config
from pilvi.objectstore.service import SERVICE, door

ROLES = {"member": ("member", "reader"), "reader": ("reader",), "reseller": ("ResellerAdmin",), "service": ("service",),
         "guest": ("guest",),
         "admin": ("admin", "member", "reader")}
USERS = {"test:tester": "testing .admin", "test:tester3": "testing3", "test2:tester2": "testing2 .admin"}


def who(token: str, story: Any) -> Identity:
    """A token is ROLE-PROJECT."""
    role, _, project = token.partition("-")
    if role not in ROLES: raise Unauthenticated()
    return Identity(f"user-of-{token}", token, project_id=project, project_name=project, project_domain_id="default", roles=ROLES[role],
                    expires_at=9e9)


def plain(application: Any) -> Any:
    """The application with names of headers as plain bytes, as they are on a socket."""
    async def run(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if "headers" in message: message["headers"] = [(bytes(name), value) for name, value in message["headers"]]
            await send(message)

        await application(scope, receive, sent)

    return run


class Client:
    """Requests to the store, each `client("GET", "/v1/…", content, token=…, **headers)`; `_` in a header's name is `-`."""

    def __init__(self, application: Any, runner: asyncio.Runner) -> None:
        self.runner = runner
        transport = httpx.ASGITransport(plain(application), raise_app_exceptions=False)
        self.browser = httpx.AsyncClient(transport=transport, base_url="http://cloud:5001")

    def __call__(self, method: str, path: str, content: Any = None, *, token: str | None = "member-one", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token: sent["x-auth-token"] = token
        if content is None and method in ("PUT", "POST", "COPY"): sent.setdefault("content-length", "0")
        return self.runner.run(self.browser.request(method, path, content=content, headers=sent))


@pytest.fixture
def options() -> dict[str, Any]:
    """Options of the store; a test module may override it."""
    return {}


@pytest.fixture
def application(tmp_path: Path, options: dict[str, Any]) -> Iterator[Application]:
    made = Application(SERVICE, database=Database(f"sqlite:///{tmp_path}/unused.sqlite"),
                       config=Config(tempauth_users=USERS, **options), identity_url="http://cloud/identity")
    made.authenticator.ask = who
    made.state["object_store"] = open_store(tmp_path / "objects", StorageOptions(reserve_bytes=0))
    yield made
    made.close()


@pytest.fixture
def ask(application: Application) -> Iterator[Client]:
    with asyncio.Runner() as runner:
        yield Client(door(application), runner)
        runner.run(application.state["object_store"].close())


@pytest.fixture
def box(ask: Client) -> Callable[..., httpx.Response]:
    """Requests below a container `box` of project one: box("PUT", "name", b"…")."""
    assert ask("PUT", "/v1/AUTH_one/box").status_code == 201
    return lambda method, path, *args, **more: ask(method, f"/v1/AUTH_one/box/{path}", *args, **more)
