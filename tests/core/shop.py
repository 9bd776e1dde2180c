"""A small service with one resource, in the manner of nova, neutron and keystone."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import quota
from pilvi.core.context import Call, Identity
from pilvi.core.db.session import Database
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE, NEUTRON, NOVA
from pilvi.core.errors import NotFound, Unauthenticated
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import ANYONE, Route, route
from pilvi.core.microversion import Microversions
from pilvi.core.policy import Rule
from pilvi.core.resource import Resource
from pilvi.core.service import Service
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, Identified, Timed, boolean, field, integer, mapping, text

QUOTA = 5


class Thing(Identified, Timed, Base):
    """What the shop sells."""
    __tablename__ = "shop_things"
    project_id: Mapped[str] = field(text(64), create=OPTIONAL, nullable=False)
    name: Mapped[str] = field(text(20, shortest=1), create=REQUIRED, update=True)
    size: Mapped[int | None] = field(integer(0, 1000), create=OPTIONAL, update=True)
    fragile: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    labels: Mapped[dict[str, str]] = field(mapping(), create=OPTIONAL, update=True, default=dict, filter=False)
    shelf: Mapped[str | None] = field(text(20), create=OPTIONAL, since="2.5")
    drawer: Mapped[str | None] = field(text(20), create=OPTIONAL, until="2.4")
    cost: Mapped[int | None] = field(integer(), create=OPTIONAL, show="admin")
    secret: Mapped[str | None] = field(text(20), create=OPTIONAL, show=False)
    code: Mapped[str | None] = field(text(20), create=OPTIONAL, unique=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class ThingNotFound(NotFound):
    """Thing {id} could not be found."""


POLICY = {"list": "reader", "show": "reader", "create": "member", "update": "member", "delete": "member"}


def add_extras(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for row, body in zip(rows, bodies, strict=True): body.update(row.extra or {})


def resource(family: str) -> Resource:
    """The shop's resource in a family's manner."""
    dialect = {"nova": NOVA, "neutron": NEUTRON, "keystone": KEYSTONE}[family]
    return Resource(Thing, "thing", "/v2/things", dialect, policy=POLICY, missing=ThingNotFound, beside={"hints": {"type": "object"}},
                    quota="things" if family == "neutron" else None, default_sort=[("name", False)] if family == "keystone" else [],
                    on_render=add_extras if family == "keystone" else None)


def fail(call: Call) -> None:
    """GET /v2/fail: a mistake of the program."""
    raise ZeroDivisionError("a secret detail")


def later(call: Call) -> dict[str, Any]:
    """GET /v2/later, from 2.5 on."""
    return {"version": list(call.version)}


def service(family: str) -> Service:
    """The shop in a family's manner."""
    found = resource(family)
    return Service(
        name="shop", types=("shop",), path="/v2", dialect=found.dialect, versions=lambda request: (300, {"versions": []}),
        resources=[found],
        rules={"shop:look": Rule("role:admin")}, optional_project="/v2" if family == "nova" else None,
        routes=[Route("/v2/open", "GET", lambda call: {"user": call.user_id}, ANYONE), Route("/v2/fail", "GET", fail, ANYONE),
                Route("/v2/look", "GET", lambda call: {"seen": True}, "shop:look"),
                Route("/v2/echo/{word}", "GET", lambda call, word: {"word": word}, ANYONE),
                route("/v2/later", "GET", later, ANYONE, since="2.5")],
        microversions=Microversions(("shop",), (2, 1), (2, 10), "x-shop-version") if family == "nova" else None)


SHOPS: dict[str, Callable[[], Service]] = {family: lambda family=family: service(family) for family in ("nova", "neutron", "keystone")}
ROLES = {"admin": ("admin", "manager", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",), "agent": ("service",)}


def identity_of(token: str) -> Identity:
    """Tokens are written as ROLE@PROJECT. Raises Unauthenticated."""
    role, _, project = token.partition("@")
    if role not in ROLES: raise Unauthenticated()
    return Identity(f"{role}-of-{project}", project_id=project or None, roles=ROLES[role], expires_at=9e9)


@dataclass
class Shop:
    """A running shop."""
    application: Application

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "member@one", raw: bytes | None = None,
            **headers: str) -> Response:
        """The response, its body as JSON. Header names are written with underscores."""
        path, _, query = path.partition("?")
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"x-auth-token": token} if token else {})
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        reply = self.application.handle(Request(method, path, query, sent, data, base="http://cloud/shop"))
        reply.body = json.loads(reply.payload() or b"null")
        return reply

    def make(self, token: str = "member@one", **values: Any) -> dict[str, Any]:
        """A new thing."""
        reply = self.ask("POST", "/v2/things", {"thing": {"name": "a", **values}}, token=token)
        assert reply.status in (200, 201), reply.body
        made: dict[str, Any] = reply.body["thing"]
        return made


def open_shop(make: Callable[[], Service], database: Database) -> Shop:
    """Runs the service over the database."""
    application = Application(make(), database=database, grant_key=b"shop", identity_url="http://cloud/identity")
    application.authenticator.ask = lambda token, story: identity_of(token)
    application.state["quota_kinds"] = {"things": quota.Kind(QUOTA, lambda db, project_id: int(
        db.scalar(select(func.count()).select_from(Thing).where(Thing.project_id == project_id)) or 0))}
    return Shop(application)
