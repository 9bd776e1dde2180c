"""A project with those above and below it, as far as they exist for the caller.

Source: Identity API v3, "Show project details" (parents_as_list, parents_as_ids, subtree_as_list, subtree_as_ids).
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.routes import Route
from pilvi.core.resource import show
from pilvi.identity.resources.effective_role import target_ids
from pilvi.identity.resources.project import RESOURCE, Project

DEEPEST = 100


def show_project(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/projects/{id}"""
    assert call.db is not None and call.request is not None
    asked = dict(call.request.query)
    for word in ("parents", "subtree"):
        if {f"{word}_as_list", f"{word}_as_ids"} <= asked.keys(): raise Invalid(f"Ask for {word}_as_list or {word}_as_ids, not for both.")
    body: dict[str, Any] = show(RESOURCE, call, id)
    project = body["project"]
    if "parents_as_ids" in asked: project["parents"] = _above(call, project["parent_id"])
    if "subtree_as_ids" in asked: project["subtree"] = _below(call, id)
    if "parents_as_list" in asked: project["parents"] = _shown(call, _names(_above(call, project["parent_id"])))
    if "subtree_as_list" in asked: project["subtree"] = _shown(call, _names(_below(call, id)))
    return body


def _above(call: Call, id: str | None) -> dict[str, Any] | None:
    """{parent: {its parent: …}}, up to the one below the domain (which is the parent's parent's id, and no project)."""
    assert call.db is not None
    found = call.db.get(Project, id) if id else None
    return {found.id: _above(call, found.parent_id)} if found and not found.is_domain else None


def _below(call: Call, id: str, depth: int = 0) -> dict[str, Any] | None:
    """{child: {its child: …}}"""
    assert call.db is not None
    children = list(call.db.scalars(select(Project.id).where(Project.parent_id == id))) if depth < DEEPEST else []
    return {child: _below(call, child, depth + 1) for child in children} or None


def _names(tree: dict[str, Any] | None) -> Iterator[str]:
    for id, rest in (tree or {}).items():
        yield id
        yield from _names(rest)


def _shown(call: Call, ids: Iterator[str]) -> list[dict[str, Any]]:
    assert call.db is not None
    mine = [] if call.is_admin else [Project.id.in_(target_ids(call.user_id, "project"))]
    rows = list(call.db.query(Project).where(Project.id.in_(list(ids)), *mine).order_by(Project.name))
    return [{"project": body} for body in RESOURCE.render(call, rows)]


ROUTES = [Route("/v3/projects/{id}", "GET", show_project, None, transaction="read")]
