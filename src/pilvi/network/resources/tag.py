"""Tags of a resource: a set of words, replaced as a whole or one at a time.

Source: Networking API v2.0, "Tag extension" (standard-attr-tag).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.resources.standard import bump, refuse_agents

MOST = 50
TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^,]*$"}
BODY = {"type": "object", "required": ["tags"], "properties": {"tags": {
    "type": "array", "maxItems": MOST, "uniqueItems": True, "items": TAG}}}


def _changing(resource: Resource, call: Call, id: str) -> Any:
    row = resource.find(call, id)
    refuse_agents(call, f"update_{resource.name}_tags")
    resource.permit(call, "update", {"project_id": row.project_id})
    return row


def _write(row: Any, tags: list[str]) -> None:
    if tags == row.tags: return
    row.tags, row.updated_at = tags, clock.now()
    bump(row)


def show_all(resource: Resource, call: Call, id: str) -> dict[str, Any]:
    """GET …/tags"""
    return {"tags": list(resource.find(call, id).tags or [])}


def replace(resource: Resource, call: Call, id: str) -> dict[str, Any]:
    """PUT …/tags"""
    row = _changing(resource, call, id)
    _write(row, list(call.body["tags"]))
    return {"tags": row.tags}


def clear(resource: Resource, call: Call, id: str) -> None:
    """DELETE …/tags"""
    _write(_changing(resource, call, id), [])


def check(resource: Resource, call: Call, id: str, tag: str) -> None:
    """GET …/tags/{tag}. Raises TagNotFound."""
    if tag not in (resource.find(call, id).tags or []): raise errors.TagNotFound(tag=tag)


def add(resource: Resource, call: Call, id: str, tag: str) -> None:
    """PUT …/tags/{tag}. Repeatable."""
    row = _changing(resource, call, id)
    if not 0 < len(tag) <= 255 or "," in tag: raise errors.InvalidInput(error_message=f"'{tag[:80]}' is not a valid tag")
    if tag in row.tags: return
    if len(row.tags) >= MOST: raise errors.InvalidInput(error_message=f"A resource has at most {MOST} tags")
    _write(row, [*row.tags, tag])


def take(resource: Resource, call: Call, id: str, tag: str) -> None:
    """DELETE …/tags/{tag}. Raises TagNotFound."""
    row = _changing(resource, call, id)
    if tag not in row.tags: raise errors.TagNotFound(tag=tag)
    _write(row, [word for word in row.tags if word != tag])


def routes(resources: Sequence[Resource]) -> list[Route]:
    """The routes of tags for these resources."""
    made = []
    for resource in resources:
        every, one = resource.path + "/{id}/tags", resource.path + "/{id}/tags/{tag}"
        made += [
            Route(every, "GET", _bind(show_all, resource), None, transaction="read"),
            Route(every, "PUT", _bind(replace, resource), None, transaction="write", body=BODY),
            Route(every, "DELETE", _bind(clear, resource), None, transaction="write", status=204),
            Route(one, "GET", _bind(check, resource), None, transaction="read", status=204),
            Route(one, "PUT", _bind(add, resource), None, transaction="write", status=201),
            Route(one, "DELETE", _bind(take, resource), None, transaction="write", status=204)]
    return made


def _bind(function: Callable[..., Any], resource: Resource) -> Callable[..., Any]:
    return lambda call, **names: function(resource, call, **names)
