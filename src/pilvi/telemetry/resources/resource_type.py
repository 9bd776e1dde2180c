"""Types of resources.

Source: Gnocchi REST API, "Resource types". Everybody may read them, administrators change them.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry import errors, resource_kind
from pilvi.telemetry.resource_kind import Attribute
from pilvi.telemetry.resources.tables import MetricResource, MetricRevision, ResourceType

MOST_ATTRIBUTES = 100


def furnish(db: Session) -> None:
    """Makes the built-in types where they are missing. Repeatable."""
    known = set(db.scalars(select(ResourceType.name)))
    db.add_all(ResourceType(name=name, attributes=attributes) for name, attributes in resource_kind.BUILT_IN.items() if name not in known)


def attributes_of(db: Session, name: str) -> dict[str, Attribute]:
    """{attribute: definition} of a type. Raises ResourceTypeUnknown."""
    row = db.get(ResourceType, name)
    if row is None: raise errors.ResourceTypeUnknown(name=name)
    return row.attributes


def body_of(row: ResourceType) -> dict[str, Any]:
    """As the API shows it."""
    return {"name": row.name, "attributes": row.attributes, "state": "active"}


def list_types(call: Call) -> Any:
    """GET /v1/resource_type"""
    assert call.db is not None
    return [body_of(row) for row in call.db.scalars(select(ResourceType).order_by(ResourceType.name))]


def show_type(call: Call, name: str) -> Any:
    """GET /v1/resource_type/{name}"""
    return body_of(_find(call, name))


def _find(call: Call, name: str) -> ResourceType:
    assert call.db is not None
    row = call.db.get(ResourceType, name)
    if row is None: raise errors.ResourceTypeUnknown(name=name)
    return row


def create_type(call: Call) -> Response:
    """POST /v1/resource_type"""
    assert call.db is not None
    body = call.body
    if not isinstance(body, dict): raise errors.invalid("expected a dictionary")
    if unknown := set(body) - {"name", "attributes"}: raise errors.invalid("extra keys not allowed", sorted(unknown)[0])
    name, given = body.get("name"), body.get("attributes", {})
    if not isinstance(name, str) or not 0 < len(name) <= 255 or "/" in name: raise errors.invalid("required key not provided", "name")
    if not isinstance(given, dict) or len(given) > MOST_ATTRIBUTES: raise errors.invalid("expected a dictionary", "attributes")
    attributes = {key: resource_kind.attribute(key, value)[0] for key, value in given.items()}
    if call.db.get(ResourceType, name) is not None: raise errors.ResourceTypeExists(name=name)
    row = ResourceType(name=name, attributes=attributes)
    call.db.add(row)
    call.db.flush()
    return Response(201, body_of(row), {"Location": call.url(f"/v1/resource_type/{name}")})


def update_type(call: Call, name: str) -> Any:
    """PATCH: a JSON patch that adds, changes and removes attributes. Existing resources get what `options.fill` says."""
    assert call.db is not None
    row = _find(call, name)
    attributes, fills = dict(row.attributes), {}
    for index, step in enumerate(_steps(call)):
        key = step["path"].removeprefix("/attributes/")
        if step["op"] == "remove":
            if key not in attributes: raise errors.Malformed(reason=f"can't remove a non-existent object '{key}'")
            del attributes[key]
            continue
        if not isinstance(step.get("value"), dict): raise errors.invalid("expected a dictionary", index, "value")
        made, fill = resource_kind.attribute(key, step["value"], updating="change" if key in attributes else "add")
        if key in attributes and attributes[key]["type"] != made["type"]:
            raise errors.Malformed(reason=f"Type update is not available yet. Changing {attributes[key]['type']} to {made['type']} for "
                                          f"attribute {key} of resource {name}")
        if key not in attributes and fill is not None: fills[key] = fill
        attributes[key] = made
    if len(attributes) > MOST_ATTRIBUTES: raise errors.invalid(f"at most {MOST_ATTRIBUTES} attributes", "attributes")
    gone = set(row.attributes) - set(attributes)
    row.attributes = attributes
    if gone or fills: _rewrite(call.db, name, gone, fills)
    return body_of(row)


def _steps(call: Call) -> list[dict[str, Any]]:
    if not isinstance(call.body, list): raise errors.invalid("expected a list")
    for index, step in enumerate(call.body):
        if not isinstance(step, dict) or step.get("op") not in ("add", "remove"):
            raise errors.invalid("not a valid value for dictionary value", index, "op")
        if not str(step.get("path", "")).startswith("/attributes/"): raise errors.invalid("Only attributes can be modified", index, "path")
    return call.body


def _rewrite(db: Session, name: str, gone: set[str], fills: dict[str, Any]) -> None:
    for row in db.scalars(select(MetricResource).where(MetricResource.type == name)):
        row.attributes = {key: value for key, value in row.attributes.items() if key not in gone} | fills
    for id, values in db.execute(select(MetricRevision.revision, MetricRevision.attributes).where(MetricRevision.type == name)).all():
        kept = {key: value for key, value in values.items() if key not in gone} | fills
        db.execute(update(MetricRevision).where(MetricRevision.revision == id).values(attributes=kept))


def delete_type(call: Call, name: str) -> None:
    """DELETE: refused while a resource is of the type; `generic` stays."""
    assert call.db is not None
    row = _find(call, name)
    if name == "generic" or call.db.scalar(select(MetricResource.id).where(MetricResource.type == name).limit(1)):
        raise errors.ResourceTypeInUse(name=name)
    call.db.delete(row)


RULES = {f"{verb} resource type": Rule("@" if verb in ("get", "list") else "role:admin")
         for verb in ("get", "list", "create", "update", "delete")}
ROUTES = [
    Route("/v1/resource_type", "GET", list_types, "list resource type", transaction="read"),
    Route("/v1/resource_type", "POST", create_type, "create resource type", transaction="write"),
    Route("/v1/resource_type/{name}", "GET", show_type, "get resource type", transaction="read"),
    Route("/v1/resource_type/{name}", "PATCH", update_type, "update resource type", transaction="write"),
    Route("/v1/resource_type/{name}", "DELETE", delete_type, "delete resource type", transaction="write", status=204),
]
