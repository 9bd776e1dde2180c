"""A running network service over SQLite with a backend that only remembers, and a way to talk to it as different people."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pilvi.core import clock, crypto
from pilvi.core.context import Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.errors import Unauthenticated
from pilvi.core.http.app import Application, Request
from pilvi.network.drivers.interface import NetworkFailure, Port, Topology, Verdict
from pilvi.network.drivers.simulated import Simulated
from pilvi.network.service import SERVICE

GRANT_KEY = b"k" * 32
ROLES = {"admin": ("admin", "manager", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",), "service": ("service",)}


@dataclass
class Remembering:
    """A backend that keeps what it is given."""
    topology: Topology = field(default_factory=Topology)
    ups: dict[str, bool] = field(default_factory=dict)
    tell: Callable[[str, bool], None] | None = None
    applied: int = 0
    failing: str | None = None
    closed: bool = False

    def start(self, *, status_changed: Callable[[str, bool], None]) -> None:
        self.tell = status_changed

    def apply(self, topology: Topology) -> list[str]:
        if self.failing: raise NetworkFailure(self.failing)
        before, self.topology = self.topology, topology
        self.applied += 1
        return [] if before == topology else ["changed"]

    def up(self) -> dict[str, bool]:
        return dict(self.ups)

    def binding(self, host: str, port_id: str) -> dict[str, Any]:
        if host == "unknown": raise NetworkFailure("Host unknown has not joined.")
        return {"vif_type": "ovs", "vif_details": {"port_filter": True, "host": host}}

    def explain(self, source: Port, destination: str, protocol: str, port: int | None) -> Verdict:
        return Verdict(passes=True, reason=f"{source.id} {destination} {protocol} {port}", rule_id=None, trace="secret")

    def facts(self) -> dict[str, Any]:
        return {}

    def health(self) -> str | None:
        return None if self.tell else "not started"

    def stop(self) -> None: ...

    def close(self) -> None:
        self.closed = True


class World:
    """The service, and what people say to it: `who` is "role@project"."""

    def __init__(self, application: Application, backend: Remembering) -> None:
        self.application, self.backend = application, backend

    def ask(self, who: str, method: str, path: str, body: Any = None, grant: dict[str, list[str]] | None = None,
            **headers: str) -> tuple[int, Any]:
        """(status, body) of a request."""
        sent = {"x-auth-token": who, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if grant is not None: sent["x-pilvi-grant"] = crypto.sign(GRANT_KEY, {"expires": clock.now() + 60, "things": grant})
        path, _, query = ("/v2.0" + path).partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.application.handle(Request(method, path, query, sent, content, base="http://cloud/network"))
        return answer.status, json.loads(answer.payload() or b"null")

    def make(self, kind: str, who: str = "member@p1", **values: Any) -> dict[str, Any]:
        """A new thing; asserts that it was made."""
        plural = {"rbac_policy": "rbac-policies"}.get(kind, kind.replace("_", "-") + "s")
        wire = {name.replace("__", ":"): value for name, value in values.items()}
        status, body = self.ask(who, "POST", f"/{plural}", {kind: wire})
        assert status == 201, body
        made: dict[str, Any] = body[kind]
        return made

    def lan(self, cidr: str = "10.0.0.0/24", who: str = "member@p1", **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A network with a subnet."""
        network = self.make("network", who)
        return network, self.make("subnet", who, network_id=network["id"], cidr=cidr, ip_version=6 if ":" in cidr else 4, **values)

    def outside(self, cidr: str = "192.0.2.0/24") -> dict[str, Any]:
        """An external network with a subnet."""
        network = self.make("network", "admin@p0", name="external", router__external=True, provider__network_type="flat",
                            provider__physical_network="external")
        self.make("subnet", "admin@p0", network_id=network["id"], cidr=cidr, ip_version=4, enable_dhcp=False)
        return network


def identify(token: str, story: object) -> Identity:
    """Who "role@project" is."""
    role, _, project = token.partition("@")
    if role not in ROLES: raise Unauthenticated()
    return Identity(user_id=f"{role}-of-{project}", project_id=project, roles=ROLES[role], expires_at=clock.now() + 600)


@contextmanager
def running(directory: Path, backend: Any) -> Iterator[World]:
    """The service over that backend."""
    database = Database(f"sqlite:///{directory}/network.sqlite")
    migrate(database, "network", [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables])
    application = Application(SERVICE, database=database, grant_key=GRANT_KEY)
    application.authenticator.ask = identify
    application.state["network_backend"] = backend
    assert SERVICE.start and SERVICE.stop
    SERVICE.start(application)
    yield World(application, backend)
    SERVICE.stop(application)
    application.close()
    database.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service whose backend only remembers."""
    with running(tmp_path, Remembering()) as world: yield world


@pytest.fixture
def simulated_world(tmp_path: Path) -> Iterator[World]:
    """A service of the simulated cloud."""
    with running(tmp_path, Simulated(tmp_path, cloud_id="cloud")) as world: yield world
