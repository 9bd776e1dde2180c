"""Project: what owns things. Projects form trees inside a domain.

Source: Identity API v3, "Projects" and "Project Tags".
"""
from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, and_, func, not_, or_, select, type_coerce
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http import auth
from pilvi.core.listing import Filter
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, list_of, text
from pilvi.identity import errors
from pilvi.identity.resources import credential, policies
from pilvi.identity.resources.assignment import forget_targets
from pilvi.identity.resources.domain import add_extras, place_in_domain


class Project(HexIdentified, Base):
    __tablename__ = "identity_projects"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False)
    parent_id: Mapped[str | None] = field(text(64), create=OPTIONAL)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    is_domain: Mapped[bool] = field(boolean(), create=OPTIONAL, default=False)
    tags: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, update=True, default=list, filter=False)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def place(call: Call, project: Project, values: dict[str, Any]) -> None:
    """Fills in the domain and parent and keeps names unique in the domain."""
    assert call.db is not None
    if project.is_domain: raise Invalid("A project that acts as a domain is made as a domain: POST /v3/domains.")
    place_in_domain(call, project, values)
    if project.parent_id and project.parent_id != project.domain_id:
        parent = call.db.get(Project, project.parent_id)
        if parent is None: raise errors.ProjectNotFound(id=project.parent_id)
        if values.get("domain_id", parent.domain_id) != parent.domain_id: raise Invalid("A project is in the domain of its parent.")
        if not parent.enabled and project.enabled: raise Forbidden(action="create an enabled project below a disabled one")
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
    forget_targets(call.db, [project.id])
    credential.forget(call.db, project_ids=(project.id,))
    auth.forget()


def visible(call: Call) -> Any:
    """A domain's token sees the domain's projects."""
    return Project.domain_id == call.identity.domain_id if call.identity.domain_id else None


def _has_tag(tag: str) -> ColumnElement[bool]:
    """It stands in the stored list as a JSON string. Not LIKE: SQLite's does not tell a from A."""
    stored = type_coerce(Project.tags, Text)
    return func.replace(stored, msgspec.json.encode(tag).decode(), "") != stored


def _tags(values: list[str]) -> list[ColumnElement[bool]]:
    return [_has_tag(tag) for value in values for tag in value.split(",")]


TAG_FILTERS: dict[str, Filter] = {
    "tags": lambda call, values: and_(*_tags(values)), "tags-any": lambda call, values: or_(*_tags(values)),
    "not-tags": lambda call, values: not_(and_(*_tags(values))), "not-tags-any": lambda call, values: not_(or_(*_tags(values)))}
RESOURCE = Resource(
    Project, "project", "/v3/projects", KEYSTONE, owner=None, missing=errors.ProjectNotFound, default_sort=[("name", False)],
    verbs=("list", "create", "update", "delete"), filters=TAG_FILTERS,
    policy=policies.verbs("project"),
    visible=visible, on_create=place, on_update=check_name, on_delete=remove, on_render=add_extras)
