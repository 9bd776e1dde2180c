"""User: somebody who signs in.

Source: Identity API v3, "Users".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import check_password, hash_password
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, instant, text
from pilvi.identity import errors
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import Domain, add_extras
from pilvi.identity.resources.project import Project


class User(HexIdentified, Base):
    __tablename__ = "identity_users"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    default_project_id: Mapped[str | None] = field(text(64), create=OPTIONAL, update=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    email: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, filter=False)
    password: Mapped[str | None] = field(text(4096), create=OPTIONAL, update=True, show=False, filter=False)
    password_expires_at: Mapped[float | None] = field(instant(), filter=False)
    password_changed_at: Mapped[float] = mapped_column(default=clock.now)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def hash_given(call: Call, values: dict[str, Any]) -> None:
    """Hashes the password before any transaction begins: it takes a quarter of a second."""
    assert call.application is not None
    if values.get("password"): values["password"] = hash_password(values["password"], call.application.config.password_rounds)


def place(call: Call, user: User, values: dict[str, Any]) -> None:
    """Fills in the domain and keeps names unique in it."""
    assert call.db is not None
    if "domain_id" not in values: user.domain_id = call.identity.domain_id or call.identity.project_domain_id or "default"
    if call.db.get(Domain, user.domain_id) is None: raise errors.DomainNotFound(id=user.domain_id)
    check_name(call, user, values)


def check_name(call: Call, user: User, values: dict[str, Any]) -> None:
    """Raises NameTaken; a changed password or a switched-off user ends its tokens."""
    assert call.db is not None
    name = values.get("name", user.name)
    same = select(User.id).where(User.name == name, User.domain_id == user.domain_id, User.id != user.id)
    if call.db.execute(same).first(): raise errors.NameTaken(what="user", name=name)
    if "password" in values and user.id: user.password_changed_at = clock.now()
    if "password" in values or values.get("enabled") is False: auth.forget()


def remove(call: Call, user: User) -> None:
    """Its roles go with it."""
    assert call.db is not None
    call.db.execute(delete(Assignment).where(Assignment.actor_id == user.id))
    auth.forget()


def clean(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Extras come back; absent optional attributes stay absent, as Keystone has it."""
    add_extras(call, rows, bodies)
    for body in bodies:
        body.pop("tags", None)
        for name in ("description", "email", "default_project_id"):
            if body.get(name) is None: body.pop(name, None)


def change_password(call: Call, id: str) -> None:
    """POST /v3/users/{id}/password: the user's own change; the old tokens end."""
    assert call.application is not None
    asked = call.body["user"]
    if call.user_id and call.user_id != id: raise errors.UserNotFound(id=id)
    with call.application.database.read() as db: user = db.get(User, id)
    if user is None or not user.password or not check_password(asked["original_password"], user.password): raise errors.WrongPassword()
    hashed = hash_password(asked["password"], call.application.config.password_rounds)
    with call.application.database.write() as db:
        fresh = db.get(User, id)
        if fresh is not None: fresh.password, fresh.password_changed_at = hashed, clock.now()
    auth.forget()


def list_projects(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/users/{id}/projects: where the user has a role."""
    assert call.db is not None and call.application is not None
    RESOURCE.permit(call, "show", {"id": id})
    ids = select(Assignment.target_id).where(Assignment.actor_id == id, Assignment.target_kind == "project")
    rows = list(call.db.query(Project).where(Project.id.in_(ids)).order_by(Project.name))
    resource = next(r for r in call.application.service.resources if r.name == "project")
    return {"projects": resource.render(call, rows), "links": {"self": call.url(f"/v3/users/{id}/projects"), "next": None,
        "previous": None}}


PASSWORD = {"type": "object", "required": ["user"], "properties": {"user": {
    "type": "object", "required": ["original_password", "password"],
    "properties": {"original_password": {"type": "string", "maxLength": 4096},
        "password": {"type": "string", "minLength": 1, "maxLength": 4096}}}}}
ROUTES = [
    Route("/v3/users/{id}/password", "POST", change_password, ANYONE, status=204, body=PASSWORD),
    Route("/v3/users/{id}/projects", "GET", list_projects, None, transaction="read"),
]
RESOURCE = Resource(
    User, "user", "/v3/users", KEYSTONE, owner=None, missing=errors.UserNotFound, default_sort=[("name", False)],
    policy={"list": "admin_reader", "show": "role:admin or user_id:%(id)s", "create": "admin", "update": "admin", "delete": "admin"},
    before=hash_given, on_create=place, on_update=check_name, on_delete=remove, on_render=clean)
