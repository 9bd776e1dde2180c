"""Assignment: this user or group has this role on that project, domain or the system.

Source: Identity API v3, "Roles" (grants), "Role Assignments", "System Role Assignments".
"""
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.membership import groups_of
from pilvi.identity.resources.relative import find, listed

SYSTEM = "all"


class Assignment(Base):
    __tablename__ = "identity_assignments"
    actor_id: Mapped[str] = mapped_column(primary_key=True)
    target_kind: Mapped[str] = mapped_column(primary_key=True)
    """project, domain or system"""
    target_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    role_id: Mapped[str] = mapped_column(primary_key=True)
    actor_kind: Mapped[str] = mapped_column(default="user")
    """user or group"""


def of_user(user_id: str) -> ColumnElement[bool]:
    """Assignments that count for a user: its own and its groups'."""
    return or_(Assignment.actor_id == user_id, Assignment.actor_id.in_(groups_of(user_id)))


def role_ids(db: Session, user_id: str, kind: str, target_id: str) -> set[str]:
    """The roles that a user has on a target, without what they imply."""
    return set(db.scalars(select(Assignment.role_id).where(
        of_user(user_id), Assignment.target_kind == kind, Assignment.target_id == target_id)))


def target_ids(user_id: str, kind: str) -> Any:
    """A select of the projects or domains on which a user has a role."""
    return select(Assignment.target_id).where(of_user(user_id), Assignment.target_kind == kind)


def forget_actor(db: Session, *ids: str) -> None:
    """Users or groups are gone, and their roles with them. In the caller's transaction."""
    db.execute(delete(Assignment).where(Assignment.actor_id.in_(ids)))


def forget_targets(db: Session, ids: Collection[str]) -> None:
    """Projects or domains are gone, and the roles on them too. In the caller's transaction."""
    db.execute(delete(Assignment).where(Assignment.target_id.in_(ids)))


def _row(call: Call, place: tuple[str, str], actor_id: str, role_id: str) -> Assignment | None:
    assert call.db is not None
    return call.db.get(Assignment, (actor_id, *place, role_id))


def grant(call: Call, place: tuple[str, str], actor: tuple[str, str], role_id: str) -> None:
    """PUT …/users/{id}/roles/{role_id}. Repeatable."""
    assert call.db is not None
    find(call, *actor)
    find(call, "role", role_id)
    if place[0] != "system": find(call, *place)
    if _row(call, place, actor[1], role_id) is None:
        call.db.add(Assignment(actor_id=actor[1], actor_kind=actor[0], target_kind=place[0], target_id=place[1], role_id=role_id))
    auth.forget()


def check(call: Call, place: tuple[str, str], actor: tuple[str, str], role_id: str) -> None:
    """HEAD …/users/{id}/roles/{role_id}"""
    if _row(call, place, actor[1], role_id) is None:
        raise errors.AssignmentNotFound(role_id=role_id, actor_id=actor[1], target_id=place[1])


def revoke(call: Call, place: tuple[str, str], actor: tuple[str, str], role_id: str) -> None:
    """DELETE …/users/{id}/roles/{role_id}"""
    assert call.db is not None
    check(call, place, actor, role_id)
    call.db.delete(_row(call, place, actor[1], role_id))
    auth.forget()


def list_roles(call: Call, place: tuple[str, str], actor: tuple[str, str]) -> dict[str, Any]:
    """GET …/users/{id}/roles: those assigned to this very actor."""
    find(call, *actor)
    if place[0] != "system": find(call, *place)
    return listed(call, "role", select(Assignment.role_id).where(
        Assignment.actor_id == actor[1], Assignment.target_kind == place[0], Assignment.target_id == place[1]))


def _bound(function: Callable[..., Any], target_kind: str, actor_kind: str) -> Callable[..., Any]:
    def handler(call: Call, actor_id: str, target_id: str = SYSTEM, **role: str) -> Any:
        return function(call, (target_kind, target_id), (actor_kind, actor_id), **role)

    handler.__name__ = f"{function.__name__}_{actor_kind}_on_{target_kind}"
    return handler


def _routes(target: str, prefix: str, actor: str) -> list[Route]:
    every = f"{prefix}/{actor}s/{{actor_id}}/roles"
    one, infix = every + "/{role_id}", "system_grant_for_" + actor if target == "system" else "grant"
    listing = f"identity:list_{infix}s" if target != "system" else f"identity:list_system_grants_for_{actor}"
    return [
        Route(one, "PUT", _bound(grant, target, actor), f"identity:create_{infix}", status=204, transaction="write"),
        Route(one, "GET", _bound(check, target, actor), f"identity:check_{infix}", status=204, transaction="read"),
        Route(one, "DELETE", _bound(revoke, target, actor), f"identity:revoke_{infix}", status=204, transaction="write"),
        Route(every, "GET", _bound(list_roles, target, actor), listing, transaction="read"),
    ]


PLACES = {"project": "/v3/projects/{target_id}", "domain": "/v3/domains/{target_id}", "system": "/v3/system"}
ROUTES = [route for target, prefix in PLACES.items() for actor in ("user", "group") for route in _routes(target, prefix, actor)]
RULES = {str(route.policy): Rule("role:admin") for route in ROUTES}
