"""User: somebody who signs in.

Source: Identity API v3, "Users".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, instant, text
from pilvi.identity import errors
from pilvi.identity.resources import application_credential, credential, oauth1, policies, trust
from pilvi.identity.resources.assignment import forget_actor
from pilvi.identity.resources.domain import add_extras, place_in_domain
from pilvi.identity.resources.membership import Membership, leave
from pilvi.identity.token import passwords


class User(HexIdentified, Base):
    __tablename__ = "identity_users"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    default_project_id: Mapped[str | None] = field(text(64), create=OPTIONAL, update=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    email: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, filter=False)
    password: Mapped[str | None] = field(text(4096), create=OPTIONAL, update=True, show=False, filter=False)
    password_expires_at: Mapped[float | None] = field(instant(), filter=False)
    signed_out_at: Mapped[float] = mapped_column(default=clock.now)
    """Tokens issued before are no longer good: the password was changed since, or the user switched off."""
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def hash_given(call: Call, values: dict[str, Any]) -> None:
    """Hashes the password before any transaction begins: it takes a quarter of a second."""
    assert call.application is not None
    if "id" in values:  # an update: only for those who may
        with call.application.database.read() as call.db: RESOURCE.find(call, values["id"], "update")
        call.db = None
    if values.get("password"): values["password"] = passwords.hashed(call.application, values["password"])


def place(call: Call, user: User, values: dict[str, Any]) -> None:
    """Fills in the domain and keeps names unique in it."""
    place_in_domain(call, user, values)
    check_name(call, user, values)


def visible(call: Call) -> Any:
    """A domain's token sees the domain's users."""
    return User.domain_id == call.identity.domain_id if call.identity.domain_id else None


def check_name(call: Call, user: User, values: dict[str, Any]) -> None:
    """Raises NameTaken; a changed password or a switched-off user ends its tokens."""
    assert call.db is not None
    name = values.get("name", user.name)
    same = select(User.id).where(User.name == name, User.domain_id == user.domain_id, User.id != user.id)
    if call.db.execute(same).first(): raise errors.NameTaken(what="user", name=name)
    if "password" in values or values.get("enabled") is False:
        user.signed_out_at = clock.now()
        auth.forget()


def remove(call: Call, user: User) -> None:
    """Its roles and memberships go with it."""
    assert call.db is not None
    forget_actor(call.db, user.id)
    application_credential.forget_user(call.db, user.id)
    trust.forget_users(call.db, user.id)
    credential.forget(call.db, user_ids=(user.id,))
    oauth1.forget_users(call.db, user.id)
    leave(call.db, Membership.user_id, user.id)
    auth.forget()


def clean(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Extras come back; absent optional attributes stay absent, as Keystone has it."""
    add_extras(call, rows, bodies)
    for body in bodies:
        body.pop("tags", None)
        for name in ("description", "email", "default_project_id"):
            if body.get(name) is None: body.pop(name, None)


def change_password(call: Call, id: str) -> None:
    """POST /v3/users/{id}/password: the user's own change, which the old password allows; the old tokens end."""
    assert call.application is not None
    app, asked = call.application, call.body["user"]
    with app.database.read() as db: user = db.get(User, id)
    if not passwords.fits(app, asked["original_password"], user.password if user else None): raise errors.LoginRefused()
    hashed = passwords.hashed(app, asked["password"])
    with app.database.write() as db:
        fresh = db.get(User, id)
        if fresh is not None: fresh.password, fresh.signed_out_at = hashed, clock.now()
    auth.forget()


SECRET = {"type": "string", "minLength": 1, "maxLength": 4096}
PASSWORD = {"type": "object", "required": ["user"], "properties": {"user": {
    "type": "object", "required": ["original_password", "password"], "properties": {"original_password": SECRET, "password": SECRET}}}}
ROUTES = [
    Route("/v3/users/{id}/password", "POST", change_password, ANYONE, status=204, body=PASSWORD),
]
RESOURCE = Resource(
    User, "user", "/v3/users", KEYSTONE, owner=None, missing=errors.UserNotFound, default_sort=[("name", False)],
    policy=policies.verbs("user"), visible=visible,
    before=hash_given, on_create=place, on_update=check_name, on_delete=remove, on_render=clean)
