"""A server's volumes: list, show, attach, detach, and what happens to them at the end.

Source: Compute API, "Servers with volume attachments"; microversions 2.49, 2.70, 2.79, 2.85, 2.89.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.compute import errors
from pilvi.compute.resources.attachment import BlockDevice, devices_of, free_name
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.server_task import add, wake
from pilvi.compute.resources.task import record
from pilvi.compute.server.attach import ATTACH
from pilvi.compute.server.states import ACTIVE, PAUSED, STOPPED
from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.state import WrongState
from pilvi.volume import client as volume

FLOWS = {flow.name: flow for flow in ATTACH}


def _shown(call: Call, row: BlockDevice) -> dict[str, Any]:
    shown: dict[str, Any] = {"volumeId": row.volume_id, "serverId": row.server_id, "device": row.device}
    if call.version < (2, 89): shown["id"] = row.volume_id
    else: shown |= {"attachment_id": row.attachment_id, "bdm_uuid": row.id}
    if call.version >= (2, 70): shown["tag"] = row.tag
    return shown | {"delete_on_termination": row.delete_on_termination} if call.version >= (2, 79) else shown


def list_attachments(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-volume_attachments"""
    assert call.db is not None
    SERVERS.find(call, id)
    return {"volumeAttachments": [_shown(call, row) for row in devices_of(call.db, id) if row.volume_id]}


def _one(call: Call, id: str, volume_id: str) -> BlockDevice:
    assert call.db is not None
    row = call.db.scalars(select(BlockDevice).where(BlockDevice.server_id == id, BlockDevice.volume_id == volume_id)).first()
    if row is None: raise errors.AttachmentNotFound(server_id=id, volume_id=volume_id)
    return row


def show(call: Call, id: str, volume_id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-volume_attachments/{volume_id}"""
    SERVERS.find(call, id)
    return {"volumeAttachment": _shown(call, _one(call, id, volume_id))}


def attach(call: Call, id: str) -> Response:
    """POST /servers/{id}/os-volume_attachments: reserves the volume with the user's token; the host plugs it."""
    assert call.application is not None
    asked = call.body["volumeAttachment"]
    server = ready(call, id)
    try: found = volume.show(call, asked["volumeId"])
    except NotFound: raise NotFound(f"Volume {asked['volumeId']} could not be found.") from None
    # Where it lies is told to services only, not to its owner.
    place = volume.host_of(volume.show(call.application.state["service_call"](), found["id"]))
    if place and server.host and place != server.host:
        raise errors.VolumeElsewhere(id=asked["volumeId"], volume_host=place, host=server.host)
    attachment = volume.reserve(call, asked["volumeId"], id)
    try:
        with call.application.database.write() as call.db:
            row = _add(call, server, asked, attachment["id"])
            work = add(call, server, FLOWS["attach_volume"],
                {"block_device_id": row.id, "attachment_id": attachment["id"], "volume_id": row.volume_id,
                                                              "device": row.device})
            record(call, id, "attach_volume")
            shown = _shown(call, row)
    except BaseException:
        call.db = None
        volume.detach(call, attachment["id"])
        raise
    call.db = None
    wake(call, work)
    return Response(200, {"volumeAttachment": shown})


def ready(call: Call, id: str) -> Any:
    assert call.application is not None
    with call.application.database.read() as call.db:
        server = SERVERS.find(call, id)
        SERVERS.permit(call, "update", {"project_id": server.project_id, "user_id": server.user_id})
    call.db = None
    if server.locked_reason is not None and not call.is_admin: raise errors.ServerLocked(id=id)
    if server.state not in (ACTIVE, STOPPED, PAUSED) or server.busy:
        raise WrongState(verb="attach_volume", what="instance", id=id, attribute="task_state" if server.busy else "vm_state",
                         state=server.busy or server.state)
    return server


def _add(call: Call, server: Any, asked: dict[str, Any], attachment_id: str) -> BlockDevice:
    assert call.db is not None
    taken = [one.device for one in devices_of(call.db, server.id)]
    wanted = asked.get("device") or ""
    device = f"/dev/vd{wanted[-1]}" if wanted and f"/dev/vd{wanted[-1]}" not in taken else free_name(taken)
    row = BlockDevice(server_id=server.id, volume_id=asked["volumeId"], attachment_id=attachment_id, device=device,
        source={"type": "volume"},
                      tag=asked.get("tag"), delete_on_termination=bool(asked.get("delete_on_termination")))
    call.db.add(row)
    call.db.flush()
    return row


def change(call: Call, id: str, volume_id: str) -> Response:
    """PUT (2.85): delete_on_termination"""
    server = SERVERS.find(call, id)
    SERVERS.permit(call, "update", {"project_id": server.project_id, "user_id": server.user_id})
    _one(call, id, volume_id).delete_on_termination = bool(call.body["volumeAttachment"].get("delete_on_termination"))
    return Response(202)


def detach(call: Call, id: str, volume_id: str) -> Response:
    """DELETE /servers/{id}/os-volume_attachments/{volume_id}"""
    assert call.application is not None
    server = ready(call, id)
    with call.application.database.write() as call.db:
        row = _one(call, id, volume_id)
        if row.boot_index == 0: raise errors.BootVolumeAttached()
        work = add(call, server, FLOWS["detach_volume"], {"block_device_id": row.id, "attachment_id": row.attachment_id,
            "volume_id": volume_id,
                                                          "device": row.device})
        record(call, id, "detach_volume")
    call.db = None
    wake(call, work)
    return Response(202)


BODY = {"type": "object", "required": ["volumeAttachment"], "additionalProperties": False, "properties": {"volumeAttachment": {
    "type": "object", "required": ["volumeId"], "properties": {
        "volumeId": {"type": "string", "maxLength": 64}, "device": {"type": ["string", "null"], "pattern": "^(/dev/)?[svh]d[b-z]$"},
        "tag": {"type": "string", "maxLength": 60}, "delete_on_termination": {"type": "boolean"}}}}}
CHANGE = {"type": "object", "required": ["volumeAttachment"], "properties": {"volumeAttachment": {"type": "object"}}}
_RULE = "os_compute_api:os-volumes-attachments:index"
RULES = {_RULE: Rule(PERSONAS["anyone"])}
_PATH = "/v2.1/servers/{id}/os-volume_attachments"
ROUTES = [
    Route(_PATH, "GET", list_attachments, _RULE, transaction="read"),
    Route(_PATH, "POST", attach, None, body=BODY),
    Route(_PATH + "/{volume_id}", "GET", show, _RULE, transaction="read"),
    route(_PATH + "/{volume_id}", "PUT", change, None, since="2.85", transaction="write", body=CHANGE),
    Route(_PATH + "/{volume_id}", "DELETE", detach, None),
]
