"""Assignment: this user has this role on that project, domain or the system.

Source: Identity API v3, "Roles" (grants), "Role Assignments", "System Role Assignments".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.identity import errors

SYSTEM = "all"


class Assignment(Base):
    __tablename__ = "identity_assignments"
    actor_id: Mapped[str] = mapped_column(primary_key=True)
    target_kind: Mapped[str] = mapped_column(primary_key=True)
    """project, domain or system"""
    target_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    role_id: Mapped[str] = mapped_column(primary_key=True)


def role_ids(db: Session, user_id: str, kind: str, target_id: str) -> set[str]:
    """The roles assigned directly."""
    return set(db.scalars(select(Assignment.role_id).where(
        Assignment.actor_id == user_id, Assignment.target_kind == kind, Assignment.target_id == target_id)))


def _row(call: Call, kind: str, target_id: str, user_id: str, role_id: str) -> Assignment | None:
    assert call.db is not None
    return call.db.get(Assignment, (user_id, kind, target_id, role_id))


def _exists(call: Call, kind: str, target_id: str, user_id: str, role_id: str) -> None:
    """Raises the NotFound of whichever is not there."""
    assert call.db is not None and call.application is not None
    tables = {resource.name: resource for resource in call.application.service.resources}
    wanted = [("user", user_id), ("role", role_id)] + ([(kind, target_id)] if kind != "system" else [])
    for name, key in wanted:
        if call.db.get(tables[name].table, key) is None: raise tables[name].missing(id=key)


def grant(call: Call, kind: str, target_id: str, user_id: str, role_id: str) -> None:
    """PUT …/users/{user_id}/roles/{role_id}. Repeatable."""
    assert call.db is not None
    _exists(call, kind, target_id, user_id, role_id)
    if _row(call, kind, target_id, user_id, role_id) is None:
        call.db.add(Assignment(actor_id=user_id, target_kind=kind, target_id=target_id, role_id=role_id))
    auth.forget()


def check(call: Call, kind: str, target_id: str, user_id: str, role_id: str) -> None:
    """HEAD …/users/{user_id}/roles/{role_id}"""
    if _row(call, kind, target_id, user_id, role_id) is None:
        raise errors.AssignmentNotFound(role_id=role_id, actor_id=user_id, target_id=target_id)


def revoke(call: Call, kind: str, target_id: str, user_id: str, role_id: str) -> None:
    """DELETE …/users/{user_id}/roles/{role_id}"""
    assert call.db is not None
    check(call, kind, target_id, user_id, role_id)
    call.db.delete(_row(call, kind, target_id, user_id, role_id))
    auth.forget()


def list_roles(call: Call, kind: str, target_id: str, user_id: str) -> dict[str, Any]:
    """GET …/users/{user_id}/roles"""
    assert call.db is not None and call.application is not None
    resource = next(r for r in call.application.service.resources if r.name == "role")
    table: Any = resource.table
    rows = list(call.db.query(table).where(table.id.in_(role_ids(call.db, user_id, kind, target_id))).order_by(table.name))
    assert call.request is not None
    return {"roles": resource.render(call, rows), "links": {"self": call.url(call.request.path), "next": None, "previous": None}}


def list_assignments(call: Call) -> dict[str, Any]:
    """GET /v3/role_assignments with user.id, role.id, scope.*, effective, include_names."""
    assert call.db is not None and call.request is not None and call.application is not None
    query = dict(call.request.query)
    rows = [row for row in call.db.scalars(select(Assignment)) if _wanted(row, query)]
    tables: dict[str, Any] = {resource.name: resource.table for resource in call.application.service.resources}
    pairs = [(row, role_id) for row in rows for role_id in _roles(call, row, "effective" in query)]
    if wanted := query.get("role.id"): pairs = [(row, role_id) for row, role_id in pairs if role_id == wanted]
    bodies = [_body(call, row, role_id, tables, "include_names" in query and query["include_names"] not in ("0", "False", "false"))
              for row, role_id in pairs]
    return {"role_assignments": bodies, "links": {"self": call.url("/v3/role_assignments"), "next": None, "previous": None}}


def _wanted(row: Assignment, query: dict[str, str]) -> bool:
    asked = {"project": query.get("scope.project.id"), "domain": query.get("scope.domain.id"),
        "system": SYSTEM if "scope.system" in query else None}
    if (user := query.get("user.id")) and row.actor_id != user: return False
    return not any(asked.values()) or asked.get(row.target_kind) == row.target_id


def _roles(call: Call, row: Assignment, effective: bool) -> list[str]:
    if not effective: return [row.role_id]
    assert call.db is not None and call.application is not None
    expand = call.application.state["expand_roles"]
    return sorted(expand(call.db, {row.role_id}))


def _body(call: Call, row: Assignment, role_id: str, tables: dict[str, Any], names: bool) -> dict[str, Any]:
    assert call.db is not None
    db = call.db

    def named(kind: str, id: str) -> dict[str, Any]:
        found = db.get(tables[kind], id) if names else None
        if found is None: return {"id": id}
        shown: dict[str, Any] = {"id": id, "name": found.name}
        domain_id = getattr(found, "domain_id", None)
        if kind != "domain" and domain_id:
            domain = db.get(tables["domain"], domain_id)
            shown["domain"] = {"id": domain_id, "name": domain.name if domain else ""}
        return shown

    scope: dict[str, Any] = {"system": {"all": True}} if row.target_kind == "system" else {row.target_kind: named(row.target_kind,
        row.target_id)}
    place = f"/v3/{row.target_kind}s/{row.target_id}" if row.target_kind != "system" else "/v3/system"
    return {"role": named("role", role_id), "user": named("user", row.actor_id), "scope": scope,
            "links": {"assignment": call.url(f"{place}/users/{row.actor_id}/roles/{role_id}")}}


def _routes(kind: str, prefix: str) -> list[Route]:
    def bind(function: Any) -> Any:
        return lambda call, **names: function(call, kind, names.pop("target_id", SYSTEM), **names)

    one, every = prefix + "/users/{user_id}/roles/{role_id}", prefix + "/users/{user_id}/roles"
    return [
        Route(one, "PUT", bind(grant), "identity:create_grant", status=204, transaction="write"),
        Route(one, "HEAD", bind(check), "identity:check_grant", status=204, transaction="read"),
        Route(one, "GET", bind(check), "identity:check_grant", status=204, transaction="read"),
        Route(one, "DELETE", bind(revoke), "identity:revoke_grant", status=204, transaction="write"),
        Route(every, "GET", bind(list_roles), "identity:list_grants", transaction="read"),
    ]


ROUTES = [*_routes("project", "/v3/projects/{target_id}"), *_routes("domain", "/v3/domains/{target_id}"), *_routes("system", "/v3/system"),
          Route("/v3/role_assignments", "GET", list_assignments, "identity:list_role_assignments", transaction="read")]
RULES = {f"identity:{verb}": Rule("role:admin") for verb in
         ("create_grant", "check_grant", "revoke_grant", "list_grants", "list_role_assignments")}
