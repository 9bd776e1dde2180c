"""Role: a word that policy rules speak about; one role may imply others.

Source: Identity API v3, "Roles".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select, true
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, field, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import add_extras


class Role(HexIdentified, Base):
    __tablename__ = "identity_roles"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str | None] = field(text(64), create=OPTIONAL)
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, filter=False)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class ImpliedRole(Base):
    """Whoever has the prior role has the implied one."""
    __tablename__ = "identity_implied_roles"
    prior_id: Mapped[str] = mapped_column(primary_key=True)
    implied_id: Mapped[str] = mapped_column(primary_key=True)


EDGES = select(ImpliedRole.prior_id, ImpliedRole.implied_id)
NAMES = select(Role.id, Role.name, Role.domain_id).where(Role.id.in_(bindparam("ids", expanding=True)))


def expand(db: Session, role_ids: set[str], *, domain_specific: bool = False) -> dict[str, str]:
    """{id: name} of the roles and of all that they imply; domain-specific ones only where they are asked for: no token has them."""
    edges: dict[str, set[str]] = {}
    for prior, implied in db.execute(EDGES): edges.setdefault(prior, set()).add(implied)
    found, open_ = set(role_ids), list(role_ids)
    while open_:
        for implied in edges.get(open_.pop(), set()) - found:
            found.add(implied)
            open_.append(implied)
    return {id: name for id, name, domain_id in db.execute(NAMES, {"ids": list(found)}) if domain_specific or domain_id is None}


def alive(call: Call) -> Any:
    """The roles of a domain are listed only when they are asked for."""
    at_list = call.request is not None and call.request.path.rstrip("/") == RESOURCE.path
    return Role.domain_id.is_(None) if at_list and not call.request.one("domain_id") else true()  # type: ignore[union-attr]


def _of_domain(call: Call, values: list[str]) -> Any:
    """The filter domain_id: the roles of a domain have a rule of their own."""
    policies.permit(call, "list_domain_roles", {"domain_id": values[0]})
    return Role.domain_id == values[0]


def show_role(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/roles/{id}"""
    assert call.db is not None
    role = call.db.get(Role, id)
    if role is None: raise errors.RoleNotFound(id=id)
    known = {"role": {"id": id, "name": role.name, "domain_id": role.domain_id}}
    policies.permit(call, "get_domain_role" if role.domain_id else "get_role", known)
    return {"role": RESOURCE.render(call, [role])[0]}


def check_name(call: Call, role: Role, values: dict[str, Any]) -> None:
    """Names are unique within their domain (or among the global ones)."""
    assert call.db is not None
    name = values.get("name", role.name)
    same = select(Role.id).where(Role.name == name, Role.domain_id.is_not_distinct_from(role.domain_id), Role.id != role.id)
    if call.db.execute(same).first(): raise errors.NameTaken(what="role", name=name)
    if name != role.name: auth.forget()


def remove(call: Call, role: Role) -> None:
    """Its assignments go with it."""
    assert call.db is not None
    call.db.execute(delete(Assignment).where(Assignment.role_id == role.id))
    call.db.execute(delete(ImpliedRole).where((ImpliedRole.prior_id == role.id) | (ImpliedRole.implied_id == role.id)))
    auth.forget()


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    add_extras(call, rows, bodies)
    for body in bodies: body.pop("tags", None)


RESOURCE = Resource(
    Role, "role", "/v3/roles", KEYSTONE, owner=None, missing=errors.RoleNotFound, default_sort=[("name", False)],
    verbs=("list", "create", "update", "delete"), policy=policies.verbs("role"), told_missing=("update", "delete"),
    alive=alive, filters={"domain_id": _of_domain},
    on_create=check_name, on_update=check_name, on_delete=remove, on_render=render)
ROUTES = [Route("/v3/roles/{id}", "GET", show_role, None, transaction="read")]
