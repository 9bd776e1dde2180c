"""Metadata of volumes and snapshots: words that users hang on them.

Source: Block Storage API v3, "Volumes", "Volume snapshots": `/metadata`, `/metadata/{key}`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func
from sqlalchemy.dialects.postgresql import JSONB

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.volume import errors

WORD = {"type": "string", "maxLength": 255}
WORDS = {"type": "object", "additionalProperties": WORD, "propertyNames": {"minLength": 1, "maxLength": 255}}
BODY = {"type": "object", "required": ["metadata"], "properties": {"metadata": WORDS}, "additionalProperties": False}
ONE = {"type": "object", "required": ["meta"], "additionalProperties": False,
       "properties": {"meta": WORDS | {"minProperties": 1, "maxProperties": 1}}}


def _change(resource: Resource, call: Call, id: str, make: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
    row = resource.find(call, id)
    resource.permit(call, "update", {"project_id": row.project_id}, key=id)
    row.user_metadata = make(dict(row.user_metadata or {}))
    row.updated_at = clock.now()
    return dict(row.user_metadata)


def routes(resource: Resource) -> list[Route]:
    """The metadata routes of a resource."""
    what = resource.name.capitalize()

    def show(call: Call, id: str) -> dict[str, Any]:
        row = resource.find(call, id)
        resource.permit(call, "show", {"project_id": row.project_id}, key=id)
        return {"metadata": row.user_metadata or {}}

    def add(call: Call, id: str) -> dict[str, Any]:
        return {"metadata": _change(resource, call, id, lambda old: old | call.body["metadata"])}

    def replace(call: Call, id: str) -> dict[str, Any]:
        return {"metadata": _change(resource, call, id, lambda old: call.body["metadata"])}

    def show_one(call: Call, id: str, key: str) -> dict[str, Any]:
        words = show(call, id)["metadata"]
        if key not in words: raise errors.MetadataNotFound(what=what, id=id, key=key)
        return {"meta": {key: words[key]}}

    def set_one(call: Call, id: str, key: str) -> dict[str, Any]:
        if set(call.body["meta"]) != {key}: raise errors.InvalidInput(reason="Request body and URI mismatch")
        _change(resource, call, id, lambda old: old | call.body["meta"])
        return {"meta": call.body["meta"]}

    def remove_one(call: Call, id: str, key: str) -> None:
        def without(old: dict[str, str]) -> dict[str, str]:
            if key not in old: raise errors.MetadataNotFound(what=what, id=id, key=key)
            return {k: v for k, v in old.items() if k != key}

        _change(resource, call, id, without)

    path = resource.path + "/{id}/metadata"
    return [
        Route(path, "GET", show, None, transaction="read"),
        Route(path, "POST", add, None, transaction="write", body=BODY),
        Route(path, "PUT", replace, None, transaction="write", body=BODY),
        Route(path + "/{key}", "GET", show_one, None, transaction="read"),
        Route(path + "/{key}", "PUT", set_one, None, transaction="write", body=ONE),
        Route(path + "/{key}", "DELETE", remove_one, None, transaction="write"),
    ]


def holds(call: Call, column: Any, words: dict[str, str]) -> list[ColumnElement[bool]]:
    """Conditions: the JSON object in the column has these words."""
    assert call.application is not None
    if call.application.database.sqlite:
        return [func.json_extract(cast(column, String), '$."' + key.replace('"', "") + '"') == value for key, value in words.items()]
    return [cast(cast(column, String), JSONB)[key].astext == value for key, value in words.items()]
