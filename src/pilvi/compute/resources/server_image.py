"""createImage: an image of a server's root disk. The image, still without bytes, is made in the request, with the user's token.

Source: Compute API, "Create Image (createImage Action)"; microversion 2.45 (the id in the body instead of a Location).
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources.attachment import devices_of
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.server_task import begin
from pilvi.compute.server.states import SERVER
from pilvi.core import quota
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Forbidden, NotFound
from pilvi.core.http.app import Response
from pilvi.core.state import WrongState
from pilvi.core.wire import mapping
from pilvi.image import client as image

VERB = "createImage"
OWN_FACTS = {"id", "name", "owner", "tags", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "disk_format",
             "container_format", "status", "size", "virtual_size", "checksum", "created_at", "updated_at", "self", "file", "schema",
             "direct_url", "locations", "stores", "os_hash_algo", "os_hash_value"}
"""What is a fact of the base image itself, and so no property of images made of its servers."""
NOT_INHERITED = ("os_glance", "img_signature", "cache_in_nova", "bittorrent")
ASKED = {"type": "object", "required": ["name"], "additionalProperties": False, "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?$"}, "metadata": mapping().schema}}


def create(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """202 with the image's address, from 2.45 on with its id. Raises WrongState, VolumeBacked, a quota's failure, and what the
    image API says."""
    assert call.request is not None
    server = _ready(call, id, asked)
    made = image.create(call, _values(call, server, asked))
    try: begin(call, id, VERB, VERB, lambda call, server: {"image_id": made["id"]})
    except Failure:
        call.db = None
        image.delete(call, made["id"])
        raise
    if call.version >= (2, 45): return Response(202, {"image_id": made["id"]})
    return Response(202, None, {"Location": f"{call.request.base}/images/{made['id']}"})


def _ready(call: Call, id: str, asked: dict[str, Any]) -> Any:
    """The server, if it may be done: looked at before an image is made; `begin` decides."""
    assert call.application is not None
    with call.application.database.read() as call.db:
        server = SERVERS.find(call, id)
        SERVERS.permit(call, "update", {"project_id": server.project_id, "user_id": server.user_id})
        if server.state not in SERVER.verbs[VERB].start or server.busy:
            raise WrongState(verb=VERB, what="instance", id=id, attribute="task_state" if server.busy else "vm_state",
                             state=server.busy or server.state)
        if not any(device.source.get("local") for device in devices_of(call.db, id)): raise errors.VolumeBacked(id=id)
        quota.check(call, "metadata_items", call.project_id, len(asked.get("metadata") or {}))
    call.db = None
    return server


def _values(call: Call, server: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """The image's facts: its base's properties, then the user's, then where it comes from, as Nova writes them."""
    base = _base(call, server)
    properties = {name: value for name, value in base.items()
                  if name not in OWN_FACTS and not name.startswith(NOT_INHERITED) and isinstance(value, str)}
    properties |= asked.get("metadata") or {}
    properties |= {"base_image_ref": server.image_id or "", "instance_uuid": server.id, "user_id": call.user_id,
                   "owner_id": call.project_id, "image_type": "snapshot", "image_location": "snapshot", "image_state": "available",
                   "boot_roles": ",".join(sorted(call.identity.roles))}
    return {"name": asked["name"], "visibility": "private", "disk_format": "qcow2", "container_format": "bare",
            "min_ram": base.get("min_ram") or 0, "min_disk": max(base.get("min_disk") or 0, server.flavor["disk"]), **properties}


def _base(call: Call, server: Any) -> dict[str, Any]:
    """The facts of the image that the server was made of; what the server knows of it when it is gone."""
    try: return image.show(call, server.image_id)
    except (NotFound, Forbidden): return dict(server.requested.get("image_properties") or {})
