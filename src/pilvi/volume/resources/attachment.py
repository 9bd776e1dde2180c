"""Attachment: the promise of a volume to a server: reserved, then connected from a host, then attached.

Source: Block Storage API v3, "Attachments"; microversions 3.27, 3.44 (complete), 3.54 (mode).
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.dialect import CINDER
from pilvi.core.http.routes import route
from pilvi.core.resource import Resource
from pilvi.core.state import WrongState
from pilvi.volume import errors
from pilvi.volume.resources import source
from pilvi.volume.resources import volume as volume_
from pilvi.volume.resources.tables import Attachment, Volume
from pilvi.volume.volume.states import at_once, settle


def visible(call: Call) -> Any:
    """A user sees its project's; an agent those of the servers and the attachments that its grant names."""
    mine = Attachment.project_id == call.project_id
    return or_(mine, Attachment.instance_uuid.in_(call.grant.get("server", [])), Attachment.id.in_(call.grant.get("attachment", [])))


def may(call: Call, verb: str, held: Attachment) -> None:
    """Raises Forbidden unless policy, or a grant of the attachment or its server, lets the caller do it."""
    if held.instance_uuid and call.granted("server", held.instance_uuid): return
    RESOURCE.permit(call, verb, {"project_id": held.project_id}, key=held.id)


def create(call: Call) -> dict[str, Any]:
    """POST: reserves the volume for a server, and connects it at once when a connector is given. Raises InvalidVolume."""
    assert call.db is not None
    given = call.body["attachment"]
    volume = volume_.RESOURCE.find(call, given["volume_uuid"])
    RESOURCE.permit(call, "create", {"project_id": volume.project_id}, key="")
    if "error" in volume.status:
        raise errors.InvalidVolume(reason=f"Volume attachments can not be created if the volume is in an error state. The Volume "
                                          f"{volume.id} currently has a status of: {volume.status} ")
    held = reserve(call.db, volume, given.get("instance_uuid"))
    held.attach_mode = "ro" if volume.readonly else given.get("mode") or "null"
    if given.get("connector"): connect(call.db, held, volume, given["connector"])
    call.db.flush()
    return {"attachment": RESOURCE.render(call, [held])[0]}


def reserve(db: Session, volume: Volume, server_id: str | None) -> Attachment:
    """Reserves an available volume; a server that holds it already may reserve it again (it moves to another host)."""
    source.lock(db, volume.id)
    if source.being_copied(db, volume.id):
        raise errors.InvalidVolume(reason=f"Volume {volume.id} is being copied or has a snapshot in the making; try again later.")
    try: at_once(db, Volume, volume.id, "reserve")
    except WrongState:
        same = select(Attachment.id).where(Attachment.volume_id == volume.id, Attachment.instance_uuid == server_id)
        moving = server_id and volume.status in ("in-use", "reserved") and db.execute(same).first()
        if not moving:
            raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available or downloading to reserve, but the current "
                                              f"status is {volume.status}.") from None
    held = Attachment(volume_id=volume.id, project_id=volume.project_id, instance_uuid=server_id, status="reserved", attach_mode="null",
                      connection_info={})
    db.add(held)
    db.flush()
    return held


def connect(db: Session, held: Attachment, volume: Volume, connector: dict[str, Any]) -> None:
    """Tells a host how to open the volume. Repeatable. Raises InvalidVolume, ResourceConflict."""
    host = str(connector.get("host") or "")
    if not host: raise errors.InvalidInput(reason="the connector names no host")
    if volume.connection is None: raise errors.ResourceConflict(reason=f"volume {volume.id} has not been made yet")
    if volume.connection["driver"] == "file" and host != volume.host:
        raise errors.InvalidVolume(reason=f"volume {volume.id} is a file on host {volume.host} and cannot be opened from host {host}; "
                                          f"its server has to run on {volume.host}")
    others = db.execute(select(Attachment).where(Attachment.volume_id == volume.id, Attachment.id != held.id)).scalars()
    if any(other.connection_info and other.instance_uuid != held.instance_uuid for other in others):
        raise errors.ResourceConflict(reason=f"duplicate connectors detected on volume {volume.id}")
    mode = held.attach_mode if held.attach_mode in ("rw", "ro") else connector.get("mode") or "rw"
    held.attach_mode, held.host_name, held.device = mode, host, connector.get("mountpoint")
    held.connection_info = {"driver_volume_type": volume.connection["driver"], **volume.connection, "access_mode": mode, "encrypted": False,
                            "attachment_id": held.id, "volume_id": volume.id}
    if held.status == "reserved": held.status, held.attached_at = "attaching", clock.now()
    db.flush()
    follow(db, volume.id)


def update(call: Call, id: str) -> dict[str, Any]:
    """PUT with a connector: connects a reserved attachment."""
    assert call.db is not None
    held = RESOURCE.find(call, id)
    may(call, "update", held)
    volume = call.db.get(Volume, held.volume_id)
    assert volume is not None
    if "error" in volume.status:
        raise errors.ResourceConflict(reason=f"Volume attachments can not be updated if the volume is in an error state. The Volume "
                                             f"{volume.id} currently has a status of: {volume.status} ")
    connect(call.db, held, volume, call.body["attachment"]["connector"])
    return {"attachment": RESOURCE.render(call, [held])[0]}


def complete(call: Call, id: str) -> None:
    """POST os-complete: the host has connected it; the volume is in use."""
    assert call.db is not None
    held = RESOURCE.find(call, id)
    may(call, "update", held)
    if not held.connection_info: raise errors.ResourceConflict(reason=f"attachment {id} has not been connected")
    held.status = "attached"
    call.db.flush()
    follow(call.db, held.volume_id)


def remove(call: Call, id: str) -> dict[str, Any]:
    """DELETE: the volume is free, unless others hold it. What a server uses is let go by compute alone."""
    assert call.db is not None
    held = RESOURCE.find(call, id)
    may(call, "delete", held)
    release(call, held)
    rest = call.db.execute(select(Attachment).where(Attachment.volume_id == held.volume_id)).scalars().all()
    return {"attachments": RESOURCE.render(call, list(rest), brief=True)}


def release(call: Call, held: Attachment) -> None:
    """Ends an attachment. Raises ServerHolds when a user would pull a volume from under a server (upstream bug 2004555)."""
    assert call.db is not None
    trusted = call.is_admin or "service" in call.identity.roles
    if held.instance_uuid and held.connection_info and not trusted: raise errors.ServerHolds(server_id=held.instance_uuid)
    call.db.delete(held)
    call.db.flush()
    follow(call.db, held.volume_id)


def follow(db: Session, volume_id: str) -> None:
    """Brings the volume into the state that its attachments make. Repeatable."""
    source.lock(db, volume_id)
    statuses = db.execute(select(Attachment.status).where(Attachment.volume_id == volume_id)).scalars()
    settle(db, Volume, volume_id, statuses)


def hide(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """How a host opens a volume is told to hosts and administrators only."""
    if call.is_admin or "service" in call.identity.roles: return
    for body in bodies: body["connection_info"] = {}


RESOURCE = Resource(
    Attachment, "attachment", "/v3/attachments", replace(CINDER, self_links=None), verbs=("list", "show"),
    brief=("id", "status", "instance", "volume_id"), missing=errors.AttachmentNotFound, visible=visible,
    policy={"list": "role:admin or role:service or role:reader", "show": "reader", "create": "role:admin or role:service or role:member",
            "update": "member", "delete": "member"},
    filters={"instance_id": lambda call, values: Attachment.instance_uuid.in_(values),
             "attach_status": lambda call, values: Attachment.status.in_(values)},
    on_render=hide)
CONNECTOR = {"type": ["object", "null"]}
CREATE = {"type": "object", "required": ["attachment"], "additionalProperties": False, "properties": {"attachment": {
    "type": "object", "required": ["volume_uuid"], "additionalProperties": False, "properties": {
        "volume_uuid": {"type": "string", "maxLength": 64}, "instance_uuid": {"type": ["string", "null"], "maxLength": 64},
        "connector": CONNECTOR, "mode": {"enum": ["rw", "ro", "null", None]}}}}}
UPDATE = {"type": "object", "required": ["attachment"], "additionalProperties": False, "properties": {"attachment": {
    "type": "object", "required": ["connector"], "additionalProperties": False, "properties": {
        "connector": {"type": "object", "minProperties": 1}}}}}
COMPLETE = {"type": "object", "required": ["os-complete"], "properties": {"os-complete": {}}, "additionalProperties": False}
ROUTES = [
    route("/v3/attachments", "POST", create, None, since="3.27", transaction="write", body=CREATE),
    route("/v3/attachments/{id}", "PUT", update, None, since="3.27", transaction="write", body=UPDATE),
    route("/v3/attachments/{id}", "DELETE", remove, None, since="3.27", transaction="write"),
    route("/v3/attachments/{id}/action", "POST", complete, None, since="3.44", status=204, transaction="write", body=COMPLETE),
]
