"""From what a mapping made of an assertion to a user of this cloud: looked up, or made on the first visit, with groups and projects."""
from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.crypto import new_hex_id
from pilvi.identity import errors
from pilvi.identity.federation.mapping import Person
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.group import Group
from pilvi.identity.resources.identity_provider import FederatedUser, IdentityProvider
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import Role
from pilvi.identity.resources.user import User


class Visitor(Struct, frozen=True):
    """Who came. `groups` is None for a user of this cloud's own, whose memberships count."""
    user_id: str
    groups: list[str] | None


def receive(db: Session, provider: IdentityProvider, protocol_id: str, person: Person) -> Visitor:
    """The user that the person is here. Raises LoginRefused."""
    if person.kind == "local": return Visitor(_own_user(db, person).id, None)
    assert provider.domain_id is not None
    domain_id = _domain_id(db, person.domain) or provider.domain_id
    groups = _group_ids(db, person, provider.domain_id)
    unique = person.id or person.name
    known = db.get(FederatedUser, (provider.id, protocol_id, unique))
    user = db.get(User, known.user_id) if known else None
    if known is None or user is None:
        user = User(id=new_hex_id(), name=person.name or unique, domain_id=domain_id, email=person.email)
        known = db.merge(FederatedUser(idp_id=provider.id, protocol_id=protocol_id, unique_id=unique, user_id=user.id,
                                       display_name=user.name))
        db.add(user)
        db.flush()
    if not user.enabled: raise errors.LoginRefused()
    known.seen_at, known.groups, known.display_name = clock.now(), groups, person.name or unique
    user.name, user.email = person.name or unique, person.email or user.email
    db.flush()
    for project in person.projects: _give(db, user, provider.domain_id, project)
    return Visitor(user.id, groups)


def _own_user(db: Session, person: Person) -> User:
    if person.id: user = db.get(User, person.id)
    else:
        domain_id = _domain_id(db, person.domain) or "default"
        user = db.query(User).where(User.name == person.name, User.domain_id == domain_id).first()
    if user is None or not user.enabled: raise errors.LoginRefused()
    return user


def _domain_id(db: Session, domain: dict[str, str]) -> str | None:
    if domain.get("id"): return domain["id"]
    return db.scalar(select(Domain.id).where(Domain.name == domain["name"])) if domain.get("name") else None


def _group_ids(db: Session, person: Person, domain_id: str) -> list[str]:
    """Groups that do not exist are left out."""
    found = list(db.scalars(select(Group.id).where(Group.id.in_(person.group_ids))))
    for name, domain in person.groups:
        place = _domain_id(db, domain) or domain_id
        found += db.scalars(select(Group.id).where(Group.name == name, Group.domain_id == place))
    return sorted(set(found))


def _give(db: Session, user: User, domain_id: str, wish: dict[str, Any]) -> None:
    """A project of the mapping, made in the provider's domain if it is not there, and the user's roles on it."""
    place = _domain_id(db, wish.get("domain") or {}) or domain_id
    project = db.query(Project).where(Project.name == wish["name"], Project.domain_id == place).first()
    if project is None:
        project = Project(id=new_hex_id(), name=wish["name"], domain_id=place, parent_id=place)
        db.add(project)
    for role in wish["roles"]:
        role_id = db.scalar(select(Role.id).where(Role.name == role["name"], Role.domain_id.is_(None)))
        if role_id is None: raise errors.LoginRefused(f"The mapping gives the role {role['name']}, which does not exist.")
        db.merge(Assignment(actor_id=user.id, target_kind="project", target_id=project.id, role_id=role_id))
    db.flush()
