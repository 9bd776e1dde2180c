"""Tags of a project, one by one or all together.

Source: Identity API v3, "Project Tags".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.routes import Route
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.relative import find, links, target

MOST = 80
TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/]*$"}


def _project(call: Call, project_id: str, rule: str) -> Project:
    permit(call, rule, target(call, project=project_id), project_id=project_id)
    project: Project = find(call, "project", project_id)
    return project


def list_tags(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v3/projects/{project_id}/tags"""
    return {"tags": _project(call, project_id, "list_project_tags").tags, "links": links(call)}


def replace(call: Call, project_id: str) -> dict[str, Any]:
    """PUT /v3/projects/{project_id}/tags"""
    project = _project(call, project_id, "update_project_tags")
    project.tags = sorted(call.body["tags"])
    return {"tags": project.tags, "links": links(call)}


def clear(call: Call, project_id: str) -> None:
    """DELETE /v3/projects/{project_id}/tags"""
    _project(call, project_id, "delete_project_tags").tags = []


def check(call: Call, project_id: str, tag: str) -> None:
    """HEAD /v3/projects/{project_id}/tags/{tag}"""
    if tag not in _project(call, project_id, "get_project_tag").tags: raise errors.TagNotFound(tag=tag)


def add(call: Call, project_id: str, tag: str) -> None:
    """PUT /v3/projects/{project_id}/tags/{tag}. Repeatable."""
    project = _project(call, project_id, "create_project_tag")
    if not 0 < len(tag) <= 255 or "," in tag or "/" in tag: raise Invalid(reason="a tag has 1 to 255 characters, no comma and no slash")
    if len(project.tags) >= MOST and tag not in project.tags: raise Invalid(reason=f"a project has at most {MOST} tags")
    project.tags = sorted({*project.tags, tag})


def remove(call: Call, project_id: str, tag: str) -> None:
    """DELETE /v3/projects/{project_id}/tags/{tag}"""
    project = _project(call, project_id, "delete_project_tag")
    if tag not in project.tags: raise errors.TagNotFound(tag=tag)
    project.tags = [each for each in project.tags if each != tag]


EVERY, ONE = "/v3/projects/{project_id}/tags", "/v3/projects/{project_id}/tags/{tag}"
TAGS = {"type": "object", "required": ["tags"], "additionalProperties": False,
        "properties": {"tags": {"type": "array", "maxItems": MOST, "uniqueItems": True, "items": TAG}}}
ROUTES = [
    Route(EVERY, "GET", list_tags, None, transaction="read"),
    Route(EVERY, "PUT", replace, None, transaction="write", body=TAGS),
    Route(EVERY, "DELETE", clear, None, transaction="write", status=204),
    Route(ONE, "GET", check, None, transaction="read", status=204),
    Route(ONE, "PUT", add, None, transaction="write", status=201),
    Route(ONE, "DELETE", remove, None, transaction="write", status=204),
]
