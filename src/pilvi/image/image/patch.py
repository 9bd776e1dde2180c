"""Changing an image's facts: JSON-patch on attributes, additional properties and tags.

Source: Image service API v2, "Update image"; RFC 6902 and the older draft 4 as far as Glance takes them (add, replace,
remove; one segment).
"""
from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.image import errors
from pilvi.image.resources import image
from pilvi.image.resources.image import RESOURCE, Image, permit

TYPES = {"application/openstack-images-v2.0-json-patch": 4, "application/openstack-images-v2.1-json-patch": 10}
OPERATIONS = ("add", "remove", "replace")


class Change(Struct):
    """One operation."""
    operation: str
    name: str
    value: Any = None


def parse(body: Any, draft: int) -> list[Change]:
    """The operations of a patch document. Raises PatchInvalid."""
    if not isinstance(body, list): raise errors.PatchInvalid(reason="Request body must be a JSON array of operation objects.")
    return [_change(entry, draft) for entry in body]


def _change(entry: Any, draft: int) -> Change:
    if not isinstance(entry, dict): raise errors.PatchInvalid(reason="Operations must be JSON objects.")
    operation: Any = entry.get("op") if draft == 10 else next((word for word in OPERATIONS if word in entry), None)
    if operation not in OPERATIONS:
        raise errors.PatchInvalid(reason=f"Invalid operation: `{operation}`. It must be one of the following: {', '.join(OPERATIONS)}.")
    pointer = entry.get("path") if draft == 10 else entry[operation]
    if not isinstance(pointer, str): raise errors.PatchInvalid(reason="Unable to find 'path' in JSON Schema change")
    if operation != "remove" and "value" not in entry:
        raise errors.PatchInvalid(reason=f'Operation "{operation}" requires a member named "value".')
    return Change(operation, _name(pointer), entry.get("value"))


def _name(pointer: str) -> str:
    if not pointer.startswith("/") or re.search("~(?![01])", pointer):
        raise errors.PatchInvalid(reason=f"Pointer `{pointer[:200]}` does not start with \"/\" or holds an unknown escape sequence.")
    if "/" in pointer[1:] or not pointer[1:].strip():
        raise errors.PatchInvalid(reason=f"Invalid JSON pointer for this resource: '{pointer[:200]}'")
    return pointer[1:].replace("~1", "/").replace("~0", "~").strip()


def patch(call: Call, id: str) -> dict[str, Any]:
    """PATCH"""
    assert call.request is not None
    kind = call.request.headers.get("content-type", "").split(";")[0].strip()
    if kind not in TYPES: raise errors.PatchUnsupported(known=", ".join(sorted(TYPES)))
    changes = parse(call.body, TYPES[kind])
    row: Image = RESOURCE.find(call, id)
    permit(call, "update", row)
    properties = dict(row.properties)
    values: dict[str, Any] = {}
    for change in changes: _apply(call, row, change, properties, values)
    image.check_properties(properties)
    values = RESOURCE.take(call, "update", values)
    _check(call, row, values)
    for column, value in values.items(): setattr(row, column, value)
    row.properties, row.updated_at = properties, clock.now()
    return RESOURCE.render(call, [row])[0]


def _apply(call: Call, row: Image, change: Change, properties: dict[str, Any], values: dict[str, Any]) -> None:
    name = change.name
    if name in image.READ_ONLY or name == "id": raise errors.ReadOnly(name=name)
    if name in image.RESERVED or name.startswith(image.RESERVED_PREFIX): raise errors.Reserved(name=name)
    own = RESOURCE.wire_names.get(name) is not None
    if change.operation == "remove":
        if own: raise errors.PropertyFixed(name=name)
        if properties.pop(name, None) is None: raise errors.PropertyMissing(name=name)
    elif own: values[name] = change.value
    elif change.operation == "replace" and name not in properties: raise errors.PropertyMissing(name=name)
    else: properties[name] = change.value


def _check(call: Call, row: Image, values: dict[str, Any]) -> None:
    for name in ("disk_format", "container_format"):
        if name in values and values[name] != getattr(row, name) and row.state != "queued": raise errors.FormatFixed(name=name)
    if "owner" in values and values["owner"] != row.owner and not call.is_admin: raise errors.OwnerFixed()
    if "visibility" in values and values["visibility"] != row.visibility: image.check_visibility(call, row, values["visibility"])
    if "tags" in values: values["tags"] = image.check_tags(values["tags"])


def add_tag(call: Call, id: str, tag: str) -> None:
    """PUT of a tag. Repeatable."""
    row: Image = RESOURCE.find(call, id)
    permit(call, "update", row)
    if not 0 < len(tag) <= 255: raise errors.PropertyInvalid(reason="a tag has 1 to 255 characters")
    if tag not in row.tags: row.tags, row.updated_at = image.check_tags([*row.tags, tag]), clock.now()


def remove_tag(call: Call, id: str, tag: str) -> None:
    """DELETE of a tag."""
    row: Image = RESOURCE.find(call, id)
    permit(call, "update", row)
    if tag not in row.tags: raise errors.TagNotFound(id=id, tag=tag)
    row.tags, row.updated_at = [one for one in row.tags if one != tag], clock.now()


ROUTES = [
    Route("/v2/images/{id}", "PATCH", patch, None, transaction="write"),
    Route("/v2/images/{id}/tags/{tag}", "PUT", add_tag, None, transaction="write", status=204),
    Route("/v2/images/{id}/tags/{tag}", "DELETE", remove_tag, None, transaction="write", status=204),
]
