"""Assignment: this user or group has this role on that project, domain or the system.

Source: Identity API v3, "Roles" (grants), "Role Assignments", "System Role Assignments".
"""
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import find, listed, target

SYSTEM = "all"


class Assignment(Base):
    __tablename__ = "identity_assignments"
    actor_id: Mapped[str] = mapped_column(primary_key=True)
    target_kind: Mapped[str] = mapped_column(primary_key=True)
    """project, domain or system"""
    target_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    role_id: Mapped[str] = mapped_column(primary_key=True)
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)
    """Is it for all projects below the target, and not for the target?"""
    actor_kind: Mapped[str] = mapped_column(default="user")
    """user or group"""


def forget_actor(db: Session, *ids: str) -> None:
    """Users or groups are gone, and their roles with them. In the caller's transaction."""
    db.execute(delete(Assignment).where(Assignment.actor_id.in_(ids)))


def forget_targets(db: Session, ids: Collection[str]) -> None:
    """Projects or domains are gone, and the roles on them too. In the caller's transaction."""
    db.execute(delete(Assignment).where(Assignment.target_id.in_(ids)))


Place = tuple[str, str, bool]
"""(project, domain or system; its id; for what is below?)"""


def _row(call: Call, place: Place, actor_id: str, role_id: str) -> Assignment | None:
    assert call.db is not None
    return call.db.get(Assignment, (actor_id, *place[:2], role_id, place[2]))


def _permit(call: Call, verb: str, place: Place, actor: tuple[str, str], role_id: str = "") -> None:
    """Raises Forbidden."""
    if place[0] == "system":
        name = f"{verb}_system_grant{'s' if verb == 'list' else ''}_for_{actor[0]}"
        return permit(call, name, role_id=role_id)
    known = {actor[0]: actor[1], place[0]: place[1]} | ({"role": role_id} if role_id else {})
    permit(call, f"{verb}_grant{'s' if verb == 'list' else ''}", target(call, **known), role_id=role_id)


def grant(call: Call, place: Place, actor: tuple[str, str], role_id: str) -> None:
    """PUT …/users/{id}/roles/{role_id}. Repeatable."""
    assert call.db is not None
    _permit(call, "create", place, actor, role_id)
    role = _check_ends(call, place, actor, role_id)
    if role.domain_id and place[0] == "project" and role.domain_id != target(call, project=place[1])["project"]["domain_id"]:
        raise errors.RoleOfOtherDomain(role_id=role_id)
    if _row(call, place, actor[1], role_id) is None:
        call.db.add(Assignment(actor_id=actor[1], actor_kind=actor[0], target_kind=place[0], target_id=place[1], inherited=place[2],
                               role_id=role_id))
    auth.forget()


def _check_ends(call: Call, place: Place, actor: tuple[str, str], role_id: str) -> Any:
    """The role; raises the NotFound of whatever of the three is missing."""
    find(call, *actor)
    role = find(call, "role", role_id)
    if place[0] != "system": find(call, *place[:2])
    return role


def check(call: Call, place: Place, actor: tuple[str, str], role_id: str) -> None:
    """HEAD …/users/{id}/roles/{role_id}"""
    _permit(call, "check", place, actor, role_id)
    _check_ends(call, place, actor, role_id)
    if _row(call, place, actor[1], role_id) is None:
        raise errors.AssignmentNotFound(role_id=role_id, actor_id=actor[1], target_id=place[1])


def revoke(call: Call, place: Place, actor: tuple[str, str], role_id: str) -> None:
    """DELETE …/users/{id}/roles/{role_id}"""
    assert call.db is not None
    _permit(call, "revoke", place, actor, role_id)
    row = _row(call, place, actor[1], role_id)
    if row is None: raise errors.AssignmentNotFound(role_id=role_id, actor_id=actor[1], target_id=place[1])
    call.db.delete(row)
    auth.forget()


def list_roles(call: Call, place: Place, actor: tuple[str, str]) -> dict[str, Any]:
    """GET …/users/{id}/roles: those assigned to this very actor."""
    _permit(call, "list", place, actor)
    find(call, *actor)
    if place[0] != "system": find(call, *place[:2])
    return listed(call, "role", select(Assignment.role_id).where(
        Assignment.actor_id == actor[1], Assignment.target_kind == place[0], Assignment.target_id == place[1],
        Assignment.inherited == place[2]))


def _bound(function: Callable[..., Any], target_kind: str, actor_kind: str, inherited: bool) -> Callable[..., Any]:
    def handler(call: Call, actor_id: str, target_id: str = SYSTEM, **role: str) -> Any:
        return function(call, (target_kind, target_id, inherited), (actor_kind, actor_id), **role)

    handler.__name__ = f"{function.__name__}_{actor_kind}_on_{target_kind}"
    return handler


def _routes(kind: str, prefix: str, actor: str, suffix: str = "") -> list[Route]:
    every = f"{prefix}/{actor}s/{{actor_id}}/roles"
    one, inherited = every + "/{role_id}" + suffix, bool(suffix)
    return [
        Route(one, "PUT", _bound(grant, kind, actor, inherited), None, status=204, transaction="write"),
        Route(one, "GET", _bound(check, kind, actor, inherited), None, status=204, transaction="read"),
        Route(one, "DELETE", _bound(revoke, kind, actor, inherited), None, status=204, transaction="write"),
        Route(every + suffix, "GET", _bound(list_roles, kind, actor, inherited), None, transaction="read"),
    ]


PLACES = {"project": "/v3/projects/{target_id}", "domain": "/v3/domains/{target_id}", "system": "/v3/system"}
ROUTES = [route for kind, prefix in PLACES.items() for actor in ("user", "group") for route in _routes(kind, prefix, actor)] + [
    route for kind in ("project", "domain") for actor in ("user", "group")
    for route in _routes(kind, f"/v3/OS-INHERIT/{kind}s/{{target_id}}", actor, "/inherited_to_projects")]
