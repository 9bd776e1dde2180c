"""The roles that take effect: a user's own and its groups', those inherited from above, and what they imply.

Source: Identity API v3, "Roles" (implied roles, domain-specific roles), "OS-INHERIT". An inherited role is one for all projects below, not
for the project or domain that it was given on. A domain-specific role is in no token; what it implies is.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.membership import groups_of
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import expand


def of_user(user_id: str, group_ids: list[str] | None = None) -> ColumnElement[bool]:
    """Assignments that count for a user: its own and its groups' (`group_ids`: those that a federated login brought along)."""
    conditions = [Assignment.actor_id == user_id, Assignment.actor_id.in_(groups_of(user_id))]
    return or_(*conditions, Assignment.actor_id.in_(group_ids)) if group_ids else or_(*conditions)


def places(db: Session, kind: str, target_id: str) -> ColumnElement[bool]:
    """Where a role counts for a target: on itself, or inherited from above."""
    here = and_(Assignment.target_kind == kind, Assignment.target_id == target_id, Assignment.inherited.is_(False))
    if kind != "project": return here
    above = ancestors(db, target_id)
    return or_(here, and_(Assignment.target_id.in_(above), Assignment.inherited)) if above else here


def ancestors(db: Session, project_id: str) -> list[str]:
    """The projects above, the nearest first, then the domain."""
    found: list[str] = []
    row = db.execute(select(Project.parent_id, Project.domain_id).where(Project.id == project_id)).first()
    if row is None: return found
    domain_id, parent_id = row.domain_id, row.parent_id
    while parent_id and parent_id != domain_id and parent_id not in found:
        found.append(parent_id)
        parent_id = db.scalar(select(Project.parent_id).where(Project.id == parent_id))
    return [*found, domain_id]


def role_ids(db: Session, user_id: str, kind: str, target_id: str, group_ids: list[str] | None = None) -> set[str]:
    """The roles that a user has on a target, without what they imply."""
    return set(db.scalars(select(Assignment.role_id).where(of_user(user_id, group_ids), places(db, kind, target_id))))


def effective_roles(db: Session, user_id: str, kind: str, target_id: str) -> dict[str, str]:
    """{id: name} of a user's roles on a target, implied and domain-specific ones included."""
    return expand(db, role_ids(db, user_id, kind, target_id), domain_specific=True)


def target_ids(user_id: str, kind: str, group_ids: list[str] | None = None) -> Select[Any]:
    """A select of the projects, domains or systems on which a user has a role, projects below an inherited one included."""
    mine = of_user(user_id, group_ids)
    direct = select(Assignment.target_id).where(mine, Assignment.target_kind == kind, Assignment.inherited.is_(False))
    if kind != "project": return direct
    inherited = select(Assignment.target_id).where(mine, Assignment.inherited)
    below = select(Project.id).where(or_(Project.parent_id.in_(inherited), Project.domain_id.in_(inherited))).cte("below", recursive=True)
    child = aliased(Project)
    below = below.union(select(child.id).where(child.parent_id == below.c.id))
    return select(Project.id).where(Project.is_domain.is_(False), or_(Project.id.in_(direct), Project.id.in_(select(below.c.id))))
