"""Project: what owns things. Projects form trees inside a domain.

Source: Identity API v3, "Projects" and "Project Tags".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, list_of, text
from pilvi.identity import errors
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import Domain, add_extras


class Project(HexIdentified, Base):
    __tablename__ = "identity_projects"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False)
    parent_id: Mapped[str | None] = field(text(64), create=OPTIONAL)
    description: Mapped[str] = field(text(65535), create=OPTIONAL, update=True, default="", filter=False)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    is_domain: Mapped[bool] = field(boolean(), create=OPTIONAL, default=False)
    tags: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, update=True, default=list, filter=False)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def place(call: Call, project: Project, values: dict[str, Any]) -> None:
    """Fills in the domain and parent and keeps names unique in the domain."""
    assert call.db is not None
    if "domain_id" not in values: project.domain_id = call.identity.domain_id or call.identity.project_domain_id or "default"
    if call.db.get(Domain, project.domain_id) is None: raise errors.DomainNotFound(id=project.domain_id)
    if project.parent_id and project.parent_id != project.domain_id:
        parent = call.db.get(Project, project.parent_id)
        if parent is None: raise errors.ProjectNotFound(id=project.parent_id)
        project.domain_id = parent.domain_id
    project.parent_id = project.parent_id or project.domain_id
    check_name(call, project, values)


def check_name(call: Call, project: Project, values: dict[str, Any]) -> None:
    """Raises NameTaken; a project that is switched off takes its tokens with it."""
    assert call.db is not None
    name = values.get("name", project.name)
    same = select(Project.id).where(Project.name == name, Project.domain_id == project.domain_id, Project.id != project.id)
    if call.db.execute(same).first(): raise errors.NameTaken(what="project", name=name)
    if values.get("enabled") is False: auth.forget()


def remove(call: Call, project: Project) -> None:
    """Roles on it go with it; projects below it must be gone."""
    assert call.db is not None
    if call.db.execute(select(Project.id).where(Project.parent_id == project.id)).first(): raise errors.HasChildren(id=project.id)
    call.db.execute(delete(Assignment).where(Assignment.target_id == project.id))
    auth.forget()


def visible(call: Call) -> Any:
    """Without the admin role a caller sees the projects on which it has a role."""
    mine = select(Assignment.target_id).where(Assignment.actor_id == call.user_id)
    return or_(Project.id.in_(mine), Project.id == call.identity.project_id)


RESOURCE = Resource(
    Project, "project", "/v3/projects", KEYSTONE, owner=None, missing=errors.ProjectNotFound, default_sort=[("name", False)],
    policy={"list": "role:admin or role:reader", "show": "anyone", "create": "admin", "update": "admin", "delete": "admin"},
    visible=visible, on_create=place, on_update=check_name, on_delete=remove, on_render=add_extras)
