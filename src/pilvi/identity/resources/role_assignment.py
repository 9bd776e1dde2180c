"""Role assignments as one list: who has which role where, as assigned or as they take effect.

Source: Identity API v3, "Role Assignments".
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.identity.resources.assignment import SYSTEM, Assignment
from pilvi.identity.resources.membership import Membership
from pilvi.identity.resources.relative import links, resource
from pilvi.identity.resources.role import expand

NO = {"0", "false", "False", "FALSE"}


class Entry(NamedTuple):
    """One line: `role_id` and `actor` are what takes effect, `row` is why."""
    row: Assignment
    actor: tuple[str, str]
    role_id: str


def list_assignments(call: Call) -> dict[str, Any]:
    """GET /v3/role_assignments with user.id, group.id, role.id, scope.*, effective, include_names."""
    assert call.db is not None and call.request is not None
    query = dict(call.request.query)
    effective, names = _flag(query, "effective"), _flag(query, "include_names")
    wanted = {"user": query.get("user.id"), "group": query.get("group.id"), "role": query.get("role.id")}
    found = [entry for row in call.db.scalars(select(Assignment).where(*_places(query)))
             for entry in (_effects(call, row) if effective else [Entry(row, (row.actor_kind, row.actor_id), row.role_id)])
             if _fits(entry, wanted)]
    return {"role_assignments": [_body(call, entry, names) for entry in found], "links": links(call)}


def _flag(query: dict[str, str], name: str) -> bool:
    return name in query and query[name] not in NO


def _places(query: dict[str, str]) -> list[Any]:
    asked = {"project": query.get("scope.project.id"), "domain": query.get("scope.domain.id"),
             "system": SYSTEM if "scope.system" in query else None}
    return [condition for kind, id in asked.items() if id for condition in (Assignment.target_kind == kind, Assignment.target_id == id)]


def _effects(call: Call, row: Assignment) -> Iterator[Entry]:
    """The roles that the assigned one implies, for each user of a group."""
    assert call.db is not None
    users = [row.actor_id] if row.actor_kind == "user" else call.db.scalars(
        select(Membership.user_id).where(Membership.group_id == row.actor_id)).all()
    roles = sorted(expand(call.db, {row.role_id}))
    for user_id in users:
        for role_id in roles: yield Entry(row, ("user", user_id), role_id)


def _fits(entry: Entry, wanted: dict[str, str | None]) -> bool:
    if wanted["role"] and entry.role_id != wanted["role"]: return False
    return all(not wanted[kind] or entry.actor == (kind, wanted[kind]) for kind in ("user", "group"))


def _body(call: Call, entry: Entry, names: bool) -> dict[str, Any]:
    row, actor = entry.row, entry.actor
    place = f"/v3/{row.target_kind}s/{row.target_id}" if row.target_kind != "system" else "/v3/system"
    told = {"assignment": call.url(f"{place}/{row.actor_kind}s/{row.actor_id}/roles/{row.role_id}")}
    if actor[0] != row.actor_kind: told["membership"] = call.url(f"/v3/groups/{row.actor_id}/users/{actor[1]}")
    if entry.role_id != row.role_id: told["prior_role"] = call.url(f"/v3/roles/{row.role_id}")
    scope: dict[str, Any] = {"system": {"all": True}} if row.target_kind == "system" else {
        row.target_kind: _named(call, row.target_kind, row.target_id, names)}
    return {"role": _named(call, "role", entry.role_id, names), actor[0]: _named(call, *actor, names), "scope": scope, "links": told}


def _named(call: Call, kind: str, id: str, names: bool) -> dict[str, Any]:
    assert call.db is not None
    found: Any = call.db.get(resource(call, kind).table, id) if names else None
    if found is None: return {"id": id}
    shown: dict[str, Any] = {"id": id, "name": found.name}
    domain_id = getattr(found, "domain_id", None)
    if domain_id:
        domain: Any = call.db.get(resource(call, "domain").table, domain_id)
        shown["domain"] = {"id": domain_id, "name": domain.name if domain else ""}
    return shown


ROUTES = [Route("/v3/role_assignments", "GET", list_assignments, "identity:list_role_assignments", transaction="read")]
RULES = {"identity:list_role_assignments": Rule("role:admin or (role:reader and system_scope:all)")}
