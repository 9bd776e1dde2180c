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
from pilvi.identity.resources import policies
from pilvi.identity.resources.assignment import forget_targets
from pilvi.identity.resources.domain_config import DomainConfig
from pilvi.identity.resources.relative import resource


class Domain(HexIdentified, Base):
    __tablename__ = "identity_domains"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, unique=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def visible(call: Call) -> Any:
    """A domain's token lists that domain."""
    return Domain.id == call.identity.domain_id if call.identity.domain_id else None


def check_name(call: Call, domain: Domain, values: dict[str, Any]) -> None:
    """Names are unique. Raises NameTaken."""
    assert call.db is not None
    name = values.get("name", domain.name)
    if call.db.execute(select(Domain.id).where(Domain.name == name, Domain.id != domain.id)).first():
        raise errors.NameTaken(what="domain", name=name)
    if values.get("enabled") is False: auth.forget()


def add_twin(call: Call, domain: Domain, values: dict[str, Any]) -> None:
    """A domain is also a project that acts as one."""
    assert call.db is not None
    check_name(call, domain, values)
    project: Any = resource(call, "project").table
    call.db.add(project(id=domain.id, name=domain.name, domain_id=domain.id, description=domain.description, enabled=domain.enabled,
                        is_domain=True, tags=[], extra=domain.extra))


def change(call: Call, domain: Domain, values: dict[str, Any]) -> None:
    """What acts as the domain changes with it."""
    assert call.db is not None
    check_name(call, domain, values)
    twin: Any = call.db.get(resource(call, "project").table, domain.id)
    if twin is None: return
    for column in ("name", "description", "enabled"): setattr(twin, column, values.get(column, getattr(twin, column)))


def remove(call: Call, domain: Domain) -> None:
    """A domain goes with all that is in it, and only when disabled."""
    assert call.db is not None
    if domain.id == "default": raise errors.DefaultDomain()
    if domain.enabled: raise errors.DomainEnabled()
    call.db.execute(delete(DomainConfig).where(DomainConfig.domain_id == domain.id))  # so what stands for a directory's entries can go too
    for name in ("user", "group", "role"):
        kind = resource(call, name)
        for row in call.db.query(kind.table).filter_by(domain_id=domain.id):
            if kind.on_delete: kind.on_delete(call, row)
            call.db.delete(row)
    projects: Any = resource(call, "project").table
    forget_targets(call.db, [domain.id, *call.db.scalars(select(projects.id).where(projects.domain_id == domain.id))])
    call.db.execute(delete(projects).where(projects.domain_id == domain.id))
    auth.forget()


def place_in_domain(call: Call, row: Any, values: dict[str, Any]) -> None:
    """Without a wish a new thing goes into the domain of the caller's token. Raises DomainNotFound."""
    assert call.db is not None
    if "domain_id" not in values: row.domain_id = call.identity.domain_id or call.identity.project_domain_id or "default"
    if call.db.get(Domain, row.domain_id) is None: raise errors.DomainNotFound(id=row.domain_id)


def add_extras(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """What a client stored beyond the known attributes comes back, as Keystone does; `options` and `tags` are there even when empty."""
    for row, body in zip(rows, bodies, strict=True):
        body.update(row.extra or {})
        body.setdefault("options", {})
        if "tags" not in body: body["tags"] = []


RESOURCE = Resource(
    Domain, "domain", "/v3/domains", KEYSTONE, owner=None, missing=errors.DomainNotFound, visible=visible, default_sort=[("name", False)],
    policy=policies.verbs("domain"), told_missing=("update", "delete"),
    on_create=add_twin, on_update=change, on_delete=remove, on_render=add_extras)
