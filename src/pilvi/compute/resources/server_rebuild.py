"""rebuild: a server gets a new root disk of an image.

Source: Compute API, "Rebuild Server (rebuild Action)"; microversions 2.19 (description), 2.54 (key_name), 2.57 (user_data, no personality),
2.63, 2.90 (hostname).
"""
from __future__ import annotations

from functools import cache
from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources import server as servers
from pilvi.compute.resources.attachment import devices_of
from pilvi.compute.resources.keypair import Keypair
from pilvi.compute.resources.server_create import HOSTNAME, WORD, fitting_image, properties_of, user_data_of
from pilvi.compute.resources.server_task import mark, wake
from pilvi.compute.server.states import SERVER, STOPPED
from pilvi.core import quota
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http import faults
from pilvi.core.http.app import Response
from pilvi.core.state import WrongState
from pilvi.core.wire import mapping

COLUMNS = {"name": "name", "accessIPv4": "access_ipv4", "accessIPv6": "access_ipv6", "metadata": "meta", "description": "description",
           "hostname": "hostname"}
"""What a request may change, and where that is kept."""


@cache
def body(version: tuple[int, int]) -> faults.Schema:
    """What is asked, at a microversion."""
    given: dict[str, Any] = {
        "imageRef": {"type": "string", "minLength": 1, "maxLength": 2048}, "adminPass": WORD, "metadata": mapping().schema,
        "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?$"},
        "preserve_ephemeral": {"type": ["boolean", "string"]}, "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]},
        "accessIPv4": {"type": "string", "maxLength": 64}, "accessIPv6": {"type": "string", "maxLength": 64}}
    if version < (2, 57): given["personality"] = {"type": "array", "maxItems": 0}
    if version >= (2, 19): given["description"] = {"type": ["string", "null"], "maxLength": 255}
    if version >= (2, 54): given["key_name"] = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
    if version >= (2, 57): given["user_data"] = {"type": ["string", "null"], "maxLength": 65535}
    if version >= (2, 63): given["trusted_image_certificates"] = {"type": ["array", "null"], "maxItems": 0}
    if version >= (2, 90): given["hostname"] = HOSTNAME
    return faults.Schema({"type": "object", "required": ["imageRef"], "properties": given, "additionalProperties": False})


def rebuild(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """202 with the server as it will be. Raises WrongState, ServerLocked, VolumeBackedRebuild, ImageUnknown, FlavorTooSmall …"""
    assert call.application is not None and call.request is not None
    body(call.version).check(asked)
    server = _ready(call, id, asked)
    found = fitting_image(call, asked["imageRef"].rpartition("/")[2], server.flavor["ram"], server.flavor["disk"])
    user_data = user_data_of(asked.get("user_data"))
    with call.application.database.write() as call.db:
        server = servers.RESOURCE.find(call, id)
        work = mark(call, server, "rebuild_stopped" if server.state == STOPPED else "rebuild", "rebuild")
        for name, column in COLUMNS.items():
            if name in asked: setattr(server, column, asked[name])
        if "key_name" in asked: server.key_name, server.public_key = _key(call, server, asked["key_name"])
        if "user_data" in asked: server.user_data = user_data
        server.image_id, server.requested = found["id"], {**server.requested, "image_properties": properties_of(found)}
        for device in devices_of(call.db, id):
            if device.source.get("local"): device.source = {**device.source, "id": found["id"]}
    call.db = None
    try: shown = servers.show(call, id)["server"] | {"adminPass": asked.get("adminPass") or new_id()[:12]}
    finally: wake(call, work)
    if call.version >= (2, 57): shown["user_data"] = server.user_data
    return Response(202, {"server": shown}, {"Location": f"{call.request.base}/v2.1/servers/{id}"})


def _ready(call: Call, id: str, asked: dict[str, Any]) -> Any:
    """The server, looked at before other services are asked; `mark` decides."""
    assert call.application is not None
    with call.application.database.read() as call.db:
        server = servers.RESOURCE.find(call, id)
        servers.RESOURCE.permit(call, "update", {"project_id": server.project_id, "user_id": server.user_id})
        may = {state for verb in ("rebuild", "rebuild_stopped") for state in SERVER.verbs[verb].start}
        if server.state not in may or server.busy or not server.host:
            raise WrongState(verb="rebuild", what="instance", id=id, attribute="task_state" if server.busy else "vm_state",
                             state=server.busy or server.state)
        if not any(device.source.get("local") for device in devices_of(call.db, id)): raise errors.VolumeBackedRebuild()
        quota.check(call, "metadata_items", call.project_id, len(asked.get("metadata") or {}))
    call.db = None
    return server


def _key(call: Call, server: Any, name: str | None) -> tuple[str | None, str | None]:
    """The key pair of the server's owner; null takes it away. Raises KeypairUnknown."""
    assert call.db is not None
    if name is None: return None, None
    found = call.db.get(Keypair, (server.user_id, name))
    if found is None: raise errors.KeypairUnknown()
    return name, found.public_key
