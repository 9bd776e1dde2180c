"""What users stick on a server: metadata and tags.

Source: Compute API, "Server metadata", "Server tags" (microversion 2.26).
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.core import clock, quota
from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route, route
from pilvi.core.wire import mapping


def _server(call: Call, id: str, verb: str) -> Any:
    server = SERVERS.find(call, id)
    SERVERS.permit(call, verb, {"project_id": server.project_id, "user_id": server.user_id})
    if verb == "update": server.updated_at = clock.now()
    return server


def check_items(call: Call, items: dict[str, str], project_id: str) -> dict[str, str]:
    """The metadata, unless it has more items than the project's quota allows. Raises MetadataLimit."""
    allowed = quota.limits_of(call, project_id)["metadata_items"]
    if 0 <= allowed < len(items): raise errors.MetadataLimit(allowed=allowed)
    return items


def show_metadata(call: Call, id: str) -> dict[str, Any]:
    return {"metadata": _server(call, id, "show").meta}


def add_metadata(call: Call, id: str) -> dict[str, Any]:
    """POST: what is named is set, the rest stays"""
    server = _server(call, id, "update")
    server.meta = check_items(call, {**server.meta, **call.body["metadata"]}, server.project_id)
    return {"metadata": server.meta}


def replace_metadata(call: Call, id: str) -> dict[str, Any]:
    """PUT: nothing else stays"""
    server = _server(call, id, "update")
    server.meta = check_items(call, dict(call.body["metadata"]), server.project_id)
    return {"metadata": server.meta}


def show_item(call: Call, id: str, key: str) -> dict[str, Any]:
    meta = _server(call, id, "show").meta
    if key not in meta: raise errors.MetadataNotFound()
    return {"meta": {key: meta[key]}}


def put_item(call: Call, id: str, key: str) -> dict[str, Any]:
    server = _server(call, id, "update")
    if set(call.body["meta"]) != {key}: raise Invalid("Request body and URI mismatch")
    server.meta = check_items(call, {**server.meta, **call.body["meta"]}, server.project_id)
    return {"meta": call.body["meta"]}


def drop_item(call: Call, id: str, key: str) -> None:
    server = _server(call, id, "update")
    if key not in server.meta: raise errors.MetadataNotFound()
    server.meta = {k: v for k, v in server.meta.items() if k != key}


def list_tags(call: Call, id: str) -> dict[str, Any]:
    return {"tags": _server(call, id, "show").tags or []}


def replace_tags(call: Call, id: str) -> dict[str, Any]:
    server = _server(call, id, "update")
    server.tags = sorted(set(call.body["tags"]))
    return {"tags": server.tags}


def drop_tags(call: Call, id: str) -> None:
    _server(call, id, "update").tags = []


def check_tag(call: Call, id: str, tag: str) -> None:
    if tag not in (_server(call, id, "show").tags or []): raise errors.TagNotFound(id=id, tag=tag)


def put_tag(call: Call, id: str, tag: str) -> Response:
    server = _server(call, id, "update")
    if len(tag) > 60 or "," in tag: raise Invalid(f"Tag '{tag[:80]}' is invalid: at most 60 characters, no comma.")
    if tag in (server.tags or []): return Response(204)
    if len(server.tags or []) >= TAGS_MOST: raise Invalid(f"The number of tags exceeded the per-server limit {TAGS_MOST}")
    server.tags = sorted([*(server.tags or []), tag])
    return Response(201, None, {"Location": call.url(f"/v2.1/servers/{id}/tags/{tag}")})


def drop_tag(call: Call, id: str, tag: str) -> None:
    check_tag(call, id, tag)
    server = _server(call, id, "update")
    server.tags = [one for one in server.tags if one != tag]


TAGS_MOST = 50
META = {"type": "object", "required": ["metadata"], "properties": {"metadata": mapping().schema}, "additionalProperties": False}
ITEM = {"type": "object", "required": ["meta"], "properties": {"meta": {**mapping().schema, "minProperties": 1, "maxProperties": 1}},
        "additionalProperties": False}
TAGS = {"type": "object", "required": ["tags"], "properties": {"tags": {
    "type": "array", "maxItems": TAGS_MOST, "items": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}}},
    "additionalProperties": False}
_M, _T = "/v2.1/servers/{id}/metadata", "/v2.1/servers/{id}/tags"
ROUTES = [
    Route(_M, "GET", show_metadata, None, transaction="read"), Route(_M, "POST", add_metadata, None, transaction="write", body=META),
    Route(_M, "PUT", replace_metadata, None, transaction="write", body=META),
    Route(_M + "/{key}", "GET", show_item, None, transaction="read"),
    Route(_M + "/{key}", "PUT", put_item, None, transaction="write", body=ITEM),
    Route(_M + "/{key}", "DELETE", drop_item, None, status=204, transaction="write"),
    route(_T, "GET", list_tags, None, since="2.26", transaction="read"),
    route(_T, "PUT", replace_tags, None, since="2.26", transaction="write", body=TAGS),
    route(_T, "DELETE", drop_tags, None, since="2.26", status=204, transaction="write"),
    route(_T + "/{tag}", "GET", check_tag, None, since="2.26", status=204, transaction="read"),
    route(_T + "/{tag}", "PUT", put_tag, None, since="2.26", transaction="write"),
    route(_T + "/{tag}", "DELETE", drop_tag, None, since="2.26", status=204, transaction="write"),
]
