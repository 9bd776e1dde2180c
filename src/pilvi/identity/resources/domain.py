"""Domain: a namespace of users and projects.

Source: Identity API v3, "Domains".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, text
from pilvi.identity import errors


class Domain(HexIdentified, Base):
    __tablename__ = "identity_domains"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, unique=True)
    description: Mapped[str] = field(text(65535), create=OPTIONAL, update=True, default="", filter=False)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def check_name(call: Call, domain: Domain, values: dict[str, Any]) -> None:
    """Names are unique. Raises NameTaken."""
    assert call.db is not None
    name = values.get("name", domain.name)
    if call.db.execute(select(Domain.id).where(Domain.name == name, Domain.id != domain.id)).first():
        raise errors.NameTaken(what="domain", name=name)
    if values.get("enabled") is False: auth.forget()


def remove(call: Call, domain: Domain) -> None:
    """A domain goes with all that is in it, and only when disabled."""
    assert call.db is not None
    if domain.id == "default": raise errors.DefaultDomain()
    if domain.enabled: raise errors.DomainEnabled()
    for table in Base.__subclasses__():
        if table.__tablename__ in ("identity_users", "identity_projects"):
            call.db.execute(delete(table).where(table.__table__.c.domain_id == domain.id))
    auth.forget()


def add_extras(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """What a client stored beyond the known attributes comes back, as Keystone does; `options` and `tags` are there even when empty."""
    for row, body in zip(rows, bodies, strict=True):
        body.update(row.extra or {})
        body.setdefault("options", {})
        if "tags" not in body: body["tags"] = []


RESOURCE = Resource(
    Domain, "domain", "/v3/domains", KEYSTONE, owner=None, missing=errors.DomainNotFound, default_sort=[("name", False)],
    policy={"list": "admin_reader", "show": "anyone", "create": "admin", "update": "admin", "delete": "admin"},
    on_create=check_name, on_update=check_name, on_delete=remove, on_render=add_extras)
