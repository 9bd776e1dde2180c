"""User: somebody who signs in.

Source: Identity API v3, "Users".
"""
from __future__ import annotations

import re
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.http.app import Application
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, instant, json, text
from pilvi.identity import errors
from pilvi.identity.resources import application_credential, credential, oauth1, policies, trust
from pilvi.identity.resources.assignment import forget_actor
from pilvi.identity.resources.domain import add_extras, place_in_domain
from pilvi.identity.resources.domain_config import kept_elsewhere
from pilvi.identity.resources.membership import Membership, leave
from pilvi.identity.resources.relative import known_here
from pilvi.identity.token import passwords

DAY = 86_400.0
FLAG = {"type": ["boolean", "null"]}
OPTIONS = {"type": "object", "additionalProperties": False, "properties": {
    **{name: FLAG for name in ("ignore_change_password_upon_first_use", "ignore_password_expiry", "ignore_lockout_failure_attempts",
                               "lock_password", "ignore_user_inactivity", "multi_factor_auth_enabled")},
    "multi_factor_auth_rules": {"type": ["array", "null"], "maxItems": 50, "items": {
        "type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}}}}}


class User(HexIdentified, Base):
    __tablename__ = "identity_users"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False, index=True)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    default_project_id: Mapped[str | None] = field(text(64), create=OPTIONAL, update=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    email: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, filter=False)
    password: Mapped[str | None] = field(text(4096), create=OPTIONAL, update=True, show=False, filter=False)
    password_expires_at: Mapped[float | None] = field(instant(), filter=False)
    signed_out_at: Mapped[float] = mapped_column(default=clock.now)
    """Tokens issued before are no longer good: the password was changed since, or the user switched off."""
    options: Mapped[dict[str, Any]] = field(json(OPTIONS), create=OPTIONAL, update=True, default=dict, filter=False)
    password_created_at: Mapped[float] = mapped_column(default=clock.now)
    must_change: Mapped[bool] = mapped_column(default=False)
    """An administrator has set the password, and the user has to choose another one."""
    failed_attempts: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[float | None]
    last_active_at: Mapped[float | None]
    local_id: Mapped[str | None]
    """The id in the directory of the domain whose entry this row stands for; None: the user is identity's own."""
    gone: Mapped[bool] = mapped_column(default=False)
    """The directory has no such entry any more."""
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class PasswordHistory(Base):
    """A password that a user had."""
    __tablename__ = "identity_password_history"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(index=True)
    hashed: Mapped[str]
    created_at: Mapped[float]


def hash_given(call: Call, values: dict[str, Any]) -> None:
    """Hashes the password before any transaction begins: it takes a quarter of a second."""
    assert call.application is not None
    if "id" in values:  # an update: only for those who may
        with call.application.database.read() as call.db: RESOURCE.find(call, values["id"], "update")
        call.db = None
    if values.get("password"):
        check_regex(call.application, values["password"])
        values["password"] = passwords.hashed(call.application, values["password"])


def check_regex(app: Application, password: str) -> None:
    """Raises PasswordUnfit for a password that does not match the rule."""
    regex = app.config.password_regex
    if regex and not re.match(regex, password):
        raise errors.PasswordUnfit(reason=app.config.password_regex_description or "it does not match the cloud's rule")


def set_password(app: Application, db: Session, user: User, hashed: str, *, by_user: bool) -> None:
    """Puts a new password in force: the old one is remembered, and its tokens end. In the caller's transaction."""
    now = clock.now()
    if user.password and app.config.remembered_passwords > 1:
        db.add(PasswordHistory(user_id=user.id, hashed=user.password, created_at=user.password_created_at))
    user.password, user.password_created_at, user.signed_out_at = hashed, now, now
    user.failed_attempts, user.failed_at = 0, None
    user.must_change = not by_user and app.config.change_at_first_use and not user.options.get("ignore_change_password_upon_first_use")
    days = app.config.password_expires_days
    user.password_expires_at = now if user.must_change else now + days * DAY if days else None


def place(call: Call, user: User, values: dict[str, Any]) -> None:
    """Fills in the domain and keeps names unique in it."""
    assert call.db is not None and call.application is not None
    place_in_domain(call, user, values)
    if kept_elsewhere(call.db, user.domain_id): raise errors.DirectoryReadOnly()
    user.options = {name: value for name, value in (user.options or {}).items() if value is not None}
    user.failed_attempts, hashed, user.password = 0, user.password, None
    if hashed: set_password(call.application, call.db, user, hashed, by_user=False)
    check_name(call, user, values)


def visible(call: Call) -> Any:
    """A domain's token sees the domain's users."""
    return User.domain_id == call.identity.domain_id if call.identity.domain_id else None


def check_name(call: Call, user: User, values: dict[str, Any]) -> None:
    """Raises NameTaken."""
    assert call.db is not None
    name = values.get("name", user.name)
    same = select(User.id).where(User.name == name, User.domain_id == user.domain_id, User.id != user.id,
                                 User.local_id.is_(None))
    if call.db.execute(same).first(): raise errors.NameTaken(what="user", name=name)


def change(call: Call, user: User, values: dict[str, Any]) -> None:
    """A changed password or a switched-off user ends its tokens; options that are null are forgotten."""
    assert call.db is not None and call.application is not None
    if user.local_id is not None: raise errors.DirectoryReadOnly()
    check_name(call, user, values)
    if "options" in values:
        values["options"] = {k: v for k, v in (user.options | (values["options"] or {})).items() if v is not None}
        user.options = values["options"]
    if values.get("enabled") is False: user.signed_out_at = clock.now()
    if values.get("enabled"): user.failed_attempts, user.failed_at, user.last_active_at = 0, None, clock.now()
    if "password" in values:
        set_password(call.application, call.db, user, values["password"], by_user=False)
        values["password"] = user.password
    if "password" in values or values.get("enabled") is False: auth.forget()


def remove(call: Call, user: User) -> None:
    """Its roles and memberships go with it."""
    assert call.db is not None
    if user.local_id is not None and kept_elsewhere(call.db, user.domain_id): raise errors.DirectoryReadOnly()
    forget_actor(call.db, user.id)
    application_credential.forget_user(call.db, user.id)
    trust.forget_users(call.db, user.id)
    credential.forget(call.db, user_ids=(user.id,))
    oauth1.forget_users(call.db, user.id)
    call.db.execute(delete(PasswordHistory).where(PasswordHistory.user_id == user.id))
    leave(call.db, Membership.user_id, user.id)
    auth.forget()


def clean(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Extras come back; absent optional attributes stay absent, as Keystone has it."""
    add_extras(call, rows, bodies)
    for body in bodies:
        body.pop("tags", None)
        for name in ("description", "email", "default_project_id"):
            if body.get(name) is None: body.pop(name, None)


RESOURCE = Resource(
    User, "user", "/v3/users", KEYSTONE, owner=None, missing=errors.UserNotFound, default_sort=[("name", False)],
    policy=policies.verbs("user"), visible=visible, alive=known_here("user"),
    before=hash_given, on_create=place, on_update=change, on_delete=remove, on_render=clean)
