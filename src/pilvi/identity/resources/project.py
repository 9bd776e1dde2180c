"""Project: what owns things. Projects form trees inside a domain.

Source: Identity API v3, "Projects" and "Project Tags".
"""
from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, and_, func, not_, or_, select, true, type_coerce
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
from pilvi.identity.resources.domain import Domain, add_extras, place_in_domain
from pilvi.identity.resources.domain import check_name as check_domain_name
from pilvi.identity.resources.domain import remove as remove_domain

DEEPEST = 5
"""Levels of a tree, the domain included (Keystone's max_project_tree_depth)."""


class Project(HexIdentified, Base):
    __tablename__ = "identity_projects"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str | None] = field(text(64), create=OPTIONAL, default="default", nullable=True, index=True)
    parent_id: Mapped[str | None] = field(text(64), create=OPTIONAL, index=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    is_domain: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, default=False)
    tags: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, update=True, default=list, filter=False)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def place(call: Call, project: Project, values: dict[str, Any]) -> None:
    """Fills in the domain and parent and keeps names unique in the domain; what acts as a domain is a domain."""
    assert call.db is not None and call.application is not None
    if project.is_domain:
        if values.get("domain_id") or values.get("parent_id"): raise Invalid("A project that acts as a domain is in no other domain.")
        twin = Domain(id=project.id, name=project.name, description=project.description, enabled=project.enabled, extra=project.extra)
        check_domain_name(call, twin, values)
        call.db.add(twin)
        project.domain_id, project.parent_id = project.id, None
        return
    if values.get("domain_id", "") is None: del values["domain_id"]
    place_in_domain(call, project, values)
    if project.parent_id and project.parent_id != project.domain_id:
        parent = call.db.get(Project, project.parent_id)
        if parent is None: raise errors.ProjectNotFound(id=project.parent_id)
        if values.get("domain_id", parent.domain_id) != parent.domain_id: raise Invalid("A project is in the domain of its parent.")
        if not parent.enabled and project.enabled: raise Forbidden(action="create an enabled project below a disabled one")
        project.domain_id = parent.domain_id
    project.parent_id = project.parent_id or project.domain_id
    deepest = 2 if call.application.config.limit_model == "strict_two_level" else DEEPEST
    if len(_above(call, project)) + 2 > deepest: raise errors.TreeTooDeep(deepest=deepest)
    check_name(call, project, values)


def _above(call: Call, project: Project) -> list[Project]:
    """The projects above, the nearest first, without what acts as the domain."""
    assert call.db is not None
    found: list[Project] = []
    above = call.db.get(Project, project.parent_id) if project.parent_id else None
    while above and not above.is_domain:
        found.append(above)
        above = call.db.get(Project, above.parent_id) if above.parent_id else None
    return found


def check_name(call: Call, project: Project, values: dict[str, Any]) -> None:
    """Raises NameTaken; a project that is switched off takes its tokens with it."""
    assert call.db is not None
    name = values.get("name", project.name)
    same = select(Project.id).where(Project.name == name, Project.domain_id == project.domain_id, Project.id != project.id,
                                    Project.is_domain == project.is_domain)
    if call.db.execute(same).first(): raise errors.NameTaken(what="project", name=name)


def change(call: Call, project: Project, values: dict[str, Any]) -> None:
    """A project is not switched on below one that is off, nor off above one that is on. Raises Forbidden."""
    assert call.db is not None
    check_name(call, project, values)
    if values.get("enabled") is False and project.enabled:
        if not project.is_domain and call.db.execute(select(Project.id).where(Project.parent_id == project.id, Project.enabled)).first():
            raise Forbidden(action=f"disable project {project.id}, since its subtree contains enabled projects")
        auth.forget()
    if values.get("enabled") and not all(above.enabled for above in _above(call, project)):
        raise Forbidden(action=f"enable project {project.id}, since it has disabled parents")
    if project.is_domain and (twin := call.db.get(Domain, project.id)):
        check_domain_name(call, twin, values)
        for column in ("name", "description", "enabled"): setattr(twin, column, values.get(column, getattr(twin, column)))


def remove(call: Call, project: Project) -> bool:
    """Roles on it go with it; projects below it must be gone, unless it is a domain."""
    assert call.db is not None
    if project.is_domain:
        twin = call.db.get(Domain, project.id)
        assert twin is not None
        remove_domain(call, twin)
        call.db.delete(twin)
        return True
    if call.db.execute(select(Project.id).where(Project.parent_id == project.id)).first(): raise errors.HasChildren(id=project.id)
    forget_targets(call.db, [project.id])
    credential.forget(call.db, project_ids=(project.id,))
    auth.forget()
    return False


def alive(call: Call) -> Any:
    """What acts as a domain is listed only when it is asked for."""
    asked = call.request.one("is_domain") if call.request and call.request.path.rstrip("/") == RESOURCE.path else ""
    return Project.is_domain.is_(False) if asked is None else true()


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """A domain is in no domain."""
    add_extras(call, rows, bodies)
    for body in bodies:
        if body["is_domain"]: body["domain_id"] = body["parent_id"] = None


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
    visible=visible, alive=alive, on_create=place, on_update=change, on_delete=remove, on_render=render)
