"""The roles that take effect: a user's own and its groups', those inherited from above, and what they imply.

Source: Identity API v3, "Roles" (implied roles, domain-specific roles), "OS-INHERIT". An inherited role is one for all projects below, not
for the project or domain that it was given on. A domain-specific role is in no token; what it implies is.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session, aliased

from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.membership import Membership, groups_of
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import ImpliedRole, Role


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


def effective_roles(db: Session, user_id: str, kind: str, target_id: str, *, group_ids: list[str] | None = None,
                    domain_specific: bool = True) -> dict[str, str]:
    """{id: name} of a user's roles on a target, implied ones included; domain-specific ones are in no token."""
    known = {"user_id": user_id, "kind": kind, "id": target_id}
    found = db.execute(WITH_GROUPS, known | {"groups": group_ids}) if group_ids else db.execute(EFFECTIVE, known)
    return {id: name for id, name, domain_id in found if domain_specific or domain_id is None}


def _effective(*groups: BindParameter[Any]) -> Select[Any]:
    """The same as `of_user` and `places` say, with what the roles imply, in one statement that is put together once: it runs for every
    token, and building it costs more than running it. On tables, since rows of mapped classes cost twice as much. `groups`: ids of those
    that a federated login brought along."""
    given, project, implied = Assignment.__table__.c, Project.__table__.c, ImpliedRole.__table__.c
    member, role = Membership.__table__.c, Role.__table__.c
    user_id: BindParameter[Any] = bindparam("user_id")
    target_id: BindParameter[Any] = bindparam("id")
    path = select(project.parent_id, project.domain_id).where(project.id == target_id, bindparam("kind") == "project").cte(
        "path", recursive=True)
    path = path.union(select(project.parent_id, project.domain_id).join(path, project.id == path.c.parent_id))
    mine = or_(given.actor_id == user_id, given.actor_id.in_(select(member.group_id).where(member.user_id == user_id)),
               *map(given.actor_id.in_, groups))
    here = and_(given.target_kind == bindparam("kind"), given.target_id == target_id, given.inherited.is_(False))
    above = and_(given.inherited, or_(given.target_id.in_(select(path.c.parent_id)), given.target_id.in_(select(path.c.domain_id))))
    held = select(given.role_id).where(mine, or_(here, above)).cte("held", recursive=True)
    held = held.union(select(implied.implied_id).join(held, implied.prior_id == held.c.role_id))
    return select(role.id, role.name, role.domain_id).where(role.id.in_(select(held.c.role_id)))


EFFECTIVE, WITH_GROUPS = _effective(), _effective(bindparam("groups", expanding=True))


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
