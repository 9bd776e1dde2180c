"""JSON schemas of what the API shows; clients ask for them to know an image's own attributes from additional properties.

Source: Image service API v2, "Image schemas".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.image.resources.image import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES

RULES = {"get_schema": Rule("@")}
UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
STATUSES = ["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"]


def _read(kind: Any, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, "readOnly": True, **more}


def _set(kind: Any, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


IMAGE_PROPERTIES = {
    "id": _set("string", "An identifier for the image", pattern=UUID),
    "name": _set(["null", "string"], "Descriptive name for the image", maxLength=255),
    "status": _read("string", "Status of the image", enum=STATUSES),
    "visibility": _set("string", "Scope of image accessibility", enum=list(VISIBILITIES)),
    "protected": _set("boolean", "If true, image will not be deletable."),
    "os_hidden": _set("boolean", "If true, image will not appear in default image list response."),
    "checksum": _read(["null", "string"], "md5 hash of image contents.", maxLength=32),
    "os_hash_algo": _read(["null", "string"], "Algorithm to calculate the os_hash_value", maxLength=64),
    "os_hash_value": _read(["null", "string"], "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
                           maxLength=128),
    "owner": _set(["null", "string"], "Owner of the image", maxLength=255),
    "size": _read(["null", "integer"], "Size of image file in bytes"),
    "virtual_size": _read(["null", "integer"], "Virtual size of image in bytes"),
    "container_format": _set(["null", "string"], "Format of the container", enum=[None, *CONTAINER_FORMATS]),
    "disk_format": _set(["null", "string"], "Format of the disk", enum=[None, *DISK_FORMATS]),
    "created_at": _read("string", "Date and time of image registration"),
    "updated_at": _read("string", "Date and time of the last image modification"),
    "tags": _set("array", "List of strings related to the image", items={"type": "string", "maxLength": 255}),
    "min_ram": _set("integer", "Amount of ram (in MB) required to boot image."),
    "min_disk": _set("integer", "Amount of disk space (in GB) required to boot image."),
    "self": _read("string", "An image self url"),
    "file": _read("string", "An image file url"),
    "schema": _read("string", "An image schema url"),
}
IMAGE = {"name": "image", "properties": IMAGE_PROPERTIES, "additionalProperties": {"type": "string"}, "links": [
    {"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}]}
MEMBER = {"name": "member", "properties": {
    "member_id": _set("string", "An identifier for the image member (tenantId)"),
    "image_id": _set("string", "An identifier for the image", pattern=UUID),
    "created_at": _set("string", "Date and time of image member creation"),
    "updated_at": _set("string", "Date and time of last modification of image member"),
    "status": _set("string", "The status of this image member", enum=["pending", "accepted", "rejected"]),
    "schema": _read("string", "The schema of this member")}}


def _collection(name: str, item: dict[str, Any], *, paged: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "array", "items": item}, "schema": {"type": "string"}}
    if not paged: return {"name": name, "properties": properties, "links": [{"rel": "describedby", "href": "{schema}"}]}
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}]
    return {"name": name, "properties": {**properties, "first": {"type": "string"}, "next": {"type": "string"}}, "links": links}


SCHEMAS = {"image": IMAGE, "images": _collection("images", IMAGE, paged=True), "member": MEMBER,
           "members": _collection("members", MEMBER, paged=False)}


def _shown(name: str) -> Callable[[Call], dict[str, Any]]:
    def show(call: Call) -> dict[str, Any]:
        return SCHEMAS[name]

    return show


ROUTES = [Route(f"/v2/schemas/{name}", "GET", _shown(name), "get_schema") for name in SCHEMAS]
