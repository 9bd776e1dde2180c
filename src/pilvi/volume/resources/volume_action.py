"""Actions of a volume: extend, the older way of attaching, flags, and what administrators force.

Source: Block Storage API v3, "Volume actions (volumes, action)".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from pilvi.core import clock, task
from pilvi.core.context import Call
from pilvi.core.dialect import CINDER
from pilvi.core.errors import Failure, Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, Answer
from pilvi.core.state import WrongState
from pilvi.core.wire import boolean, truth
from pilvi.image import client as image
from pilvi.volume import errors
from pilvi.volume.resources import attachment, source
from pilvi.volume.resources import quota as quotas
from pilvi.volume.resources import volume as volume_
from pilvi.volume.resources.tables import LARGEST_GIB, Attachment, Snapshot, Volume, VolumeType
from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import ERRORS, IDLE, OTHERS, VOLUME, at_once

PREFIX = "volume_extension:volume_actions:"
ADMIN = "volume_extension:volume_admin_actions:"
ANY: dict[str, Any] = {}
FLAG = boolean().schema
OWN_WORDS = {"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"}
"""What an image says of itself alone, and not of those made of it."""
STATUSES = sorted((IDLE | ERRORS | OTHERS) - {"deleted"})


def extend(call: Call, volume: Volume, given: Any) -> None:
    """Starts to grow the volume. Raises InvalidInput, InvalidVolume."""
    assert call.db is not None and call.application is not None
    size = int(given["new_size"])
    if size <= volume.size:
        raise errors.InvalidInput(reason=f"New size for extend must be greater than current size. (current: {volume.size}, "
                                         f"extended: {size}).")
    if source.being_copied(call.db, volume.id): raise errors.InvalidVolume(reason=f"Volume {volume.id} is being copied.")
    quotas.check_size(call, volume.project_id, size)
    quotas.check(call, volume.project_id, gigabytes=size - volume.size)
    try: VOLUME.begin(call.db, Volume, volume.id, "extend")
    except WrongState:
        raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be 'available' to extend, currently {volume.status}.") from None
    volume.new_size = size
    call.application.state["worker"].begin(call.db, "extend", volume.id, {"host": volume.host, "size": size, "old_size": volume.size})


def revert(call: Call, volume: Volume, given: Any) -> None:
    """Starts to take the volume back to its latest snapshot (3.40). Raises InvalidInput, ResourceConflict."""
    assert call.db is not None and call.application is not None
    if call.version < (3, 40): raise errors.InvalidInput(reason="There is no such action: revert")
    mine = select(Snapshot).where(Snapshot.volume_id == volume.id, Snapshot.deleted_at.is_(None)).order_by(Snapshot.created_at.desc())
    latest = call.db.execute(mine).scalars().first()
    if latest is None: raise errors.InvalidInput(reason=f"Volume {volume.id} doesn't have any snapshots.")
    if given.get("snapshot_id") != latest.id:
        raise errors.InvalidInput(reason=f"Specified snapshot {given.get('snapshot_id')} is None or not the latest one of volume "
                                         f"{volume.id}.")
    if volume.size != latest.size:
        raise errors.InvalidInput(reason=f"Can't revert volume {volume.id} to its latest snapshot {latest.id}. The volume size must be "
                                         "equal to the snapshot size.")
    if source.being_copied(call.db, volume.id): raise errors.ResourceConflict(reason=f"volume {volume.id} is being copied")
    try:
        VOLUME.begin(call.db, Volume, volume.id, "revert")
        SNAPSHOT.begin(call.db, Snapshot, latest.id, "restore")
    except WrongState:
        raise errors.ResourceConflict(reason=f"Can't revert volume {volume.id} to its latest snapshot {latest.id}. Both must be available, "
                                             f"but they are {volume.status} and {latest.status}.") from None
    call.application.state["worker"].begin(call.db, "revert", volume.id, {"host": volume.host, "snapshot_id": latest.id})


def upload(call: Call, volume: Volume, given: Any) -> dict[str, Any]:
    """Starts to make an image of the volume; the image without bytes has been made before the transaction. Raises InvalidVolume."""
    assert call.db is not None and call.application is not None
    made = given["image"]
    if source.being_copied(call.db, volume.id): raise errors.InvalidVolume(reason=f"Volume {volume.id} is being copied.")
    try: VOLUME.begin(call.db, Volume, volume.id, "upload")
    except WrongState: raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available") from None
    call.application.state["worker"].begin(call.db, "upload", volume.id, {"host": volume.host, "image_id": made["id"],
                                                                          "disk_format": made["disk_format"]})
    kind = call.db.get(VolumeType, volume.type_id)
    shown = {"id": volume.id, "updated_at": CINDER.time(clock.now()), "status": "uploading", "display_description": volume.description,
             "size": volume.size, "volume_type": {"name": kind.name, "id": kind.id} if kind else None, "image_id": made["id"],
             "container_format": made["container_format"], "disk_format": made["disk_format"], "image_name": made["name"]}
    if call.version >= (3, 1): shown |= {"visibility": made["visibility"], "protected": made["protected"]}
    return {"os-volume_upload_image": shown}


def _make_image(call: Call, volume: Volume, given: Any) -> dict[str, Any]:
    """The image that the volume is to become, still without bytes, with the words that the volume has of the image it came from."""
    if volume.status != "available": raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available")
    values: dict[str, Any] = {name: value for name, value in (volume.image_metadata or {}).items() if name not in OWN_WORDS}
    values |= {"name": given["image_name"], "disk_format": given.get("disk_format", "raw"), "min_disk": volume.size,
               "container_format": given.get("container_format", "bare")}
    if call.version >= (3, 1):
        values |= {"visibility": given.get("visibility", "private"), "protected": bool(truth(given.get("protected")))}
    return image.create(call, values)


def reserve(call: Call, volume: Volume, given: Any) -> None:
    """The older way: the volume is attaching from now on, without an attachment."""
    assert call.db is not None
    try: at_once(call.db, Volume, volume.id, "legacy_reserve")
    except WrongState:
        raise errors.InvalidVolume(reason=f"Volume status must be available to reserve, but the status is {volume.status}.") from None


def unreserve(call: Call, volume: Volume, given: Any) -> None:
    """Back to what its attachments make of it; nothing to do if it was not reserved."""
    assert call.db is not None
    if volume.status == "attaching": attachment.follow(call.db, volume.id)


def begin_detaching(call: Call, volume: Volume, given: Any) -> None:
    """A server is about to let go."""
    assert call.db is not None
    try: at_once(call.db, Volume, volume.id, "begin_detach")
    except WrongState:
        raise errors.InvalidVolume(reason="Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' "
                                          "to detach.") from None


def roll_detaching(call: Call, volume: Volume, given: Any) -> None:
    """The server keeps it after all."""
    assert call.db is not None
    if volume.status == "detaching": at_once(call.db, Volume, volume.id, "roll_detach")


def attach(call: Call, volume: Volume, given: Any) -> None:
    """The older way: says that somebody has attached it. Raises InvalidVolume."""
    assert call.db is not None
    if volume.status not in ("available", "attaching"):
        raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available or attaching, but the status is {volume.status}.")
    mode = given.get("mode") or "rw"
    if volume.readonly and mode != "ro": raise errors.InvalidVolume(reason=f"Invalid attaching mode '{mode}' for volume {volume.id}.")
    call.db.add(Attachment(volume_id=volume.id, project_id=volume.project_id, instance_uuid=given.get("instance_uuid"), status="attached",
                           attach_mode=mode, host_name=given.get("host_name"), device=given["mountpoint"], attached_at=clock.now(),
                           connection_info={}))
    call.db.flush()
    attachment.follow(call.db, volume.id)


def detach(call: Call, volume: Volume, given: Any) -> None:
    """Ends the attachment, or the only one. Raises InvalidVolume, ServerHolds."""
    assert call.db is not None
    wanted = (given or {}).get("attachment_id")
    held = list(call.db.execute(select(Attachment).where(Attachment.volume_id == volume.id)).scalars())
    if wanted: held = [one for one in held if one.id == wanted]
    if wanted and not held: raise errors.AttachmentNotFound(id=wanted)
    if len(held) > 1: raise errors.InvalidVolume(reason="Detach volume failed: More than one attachment, but no attachment_id provided.")
    for one in held: attachment.release(call, one)
    if not held: attachment.follow(call.db, volume.id)


def force_detach(call: Call, volume: Volume, given: Any) -> None:
    """An administrator's detach."""
    detach(call, volume, given)


def set_bootable(call: Call, volume: Volume, given: Any) -> None:
    """The flag that says that a server can boot from it."""
    volume.bootable = bool(truth(given["bootable"]))


def set_readonly(call: Call, volume: Volume, given: Any) -> None:
    """Attachments are read-only from now on. Raises InvalidVolume unless it is free."""
    if volume.status != "available":
        raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available to update readonly flag, but current status is: "
                                          f"{volume.status}.")
    volume.readonly = bool(truth(given["readonly"]))


def set_image_metadata(call: Call, volume: Volume, given: Any) -> dict[str, Any]:
    """Adds words of the image's."""
    volume.image_metadata = {**(volume.image_metadata or {}), **given["metadata"]}
    return {"metadata": volume.image_metadata}


def unset_image_metadata(call: Call, volume: Volume, given: Any) -> None:
    """Takes a word of the image's away. Raises MetadataNotFound."""
    words = dict(volume.image_metadata or {})
    if given["key"] not in words: raise errors.MetadataNotFound(what="Volume", id=volume.id, key=given["key"])
    del words[given["key"]]
    volume.image_metadata = words


def show_image_metadata(call: Call, volume: Volume, given: Any) -> dict[str, Any]:
    """The image's words."""
    return {"metadata": volume.image_metadata or {}}


def reset_status(call: Call, volume: Volume, given: Any) -> None:
    """An administrator says what the volume is. Its task, if it has one, is left where it stands; `detached` ends its attachments."""
    assert call.db is not None and call.application is not None
    if given.get("attach_status") == "detached":
        for held in call.db.execute(select(Attachment).where(Attachment.volume_id == volume.id)).scalars(): call.db.delete(held)
    if given.get("status"):
        task.cancel(call.db, call.application.state["worker"].table, volume.id)
        VOLUME.force(call.db, Volume, volume.id, given["status"].lower())


def force_delete(call: Call, volume: Volume, given: Any) -> None:
    """An administrator's removal, whatever the volume is doing."""
    volume_.begin_removal(call, volume, cascade=False, force=True)


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


RESET = _object(status={"enum": STATUSES}, attach_status={"enum": ["attached", "detached"]}, migration_status={"type": ["string", "null"]})
REVERT = {"type": "object", "properties": {"snapshot_id": {"type": ["string", "null"]}}}
UPLOAD = _object("image_name", image_name={"type": "string", "minLength": 1, "maxLength": 255}, force=FLAG,
                 disk_format={"enum": ["raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx"]}, container_format={"enum": ["bare"]},
                 visibility={"enum": ["community", "public", "private", "shared"]}, protected=FLAG)
DETACH = {"type": ["object", "null"], "properties": {"attachment_id": {"type": ["string", "null"]}, "connector": {}},
          "additionalProperties": False}
SIZE = {"type": ["integer", "string"], "pattern": "^[0-9]{1,10}$", "minimum": 1, "maximum": LARGEST_GIB}
WORDS = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}}
Act = Callable[[Call, Volume, Any], Any]
ACTIONS: dict[str, tuple[Act, str, str, Any, int]] = {
    # action                  function         policy rule                     persona   what it takes                       status
    "os-extend":              (extend,               PREFIX + "extend",              "member", _object("new_size", new_size=SIZE), 202),
    "revert":                 (revert,               "volume:revert_to_snapshot",    "member", REVERT, 202),
    "os-volume_upload_image": (upload,               PREFIX + "upload_image",        "member", UPLOAD, 202),
    "os-reserve":             (reserve,              PREFIX + "reserve",             "member", ANY, 202),
    "os-unreserve":           (unreserve,            PREFIX + "unreserve",           "member", ANY, 202),
    "os-begin_detaching":     (begin_detaching,      PREFIX + "begin_detaching",     "member", ANY, 202),
    "os-roll_detaching":      (roll_detaching,       PREFIX + "roll_detaching",      "member", ANY, 202),
    "os-attach":              (attach,               PREFIX + "attach",              "member",
                               _object("mountpoint", instance_uuid={"type": "string"}, mountpoint={"type": "string", "minLength": 1,
                                       "maxLength": 255}, host_name={"type": "string"}, mode={"enum": ["rw", "ro"]}), 202),
    "os-detach":              (detach,               PREFIX + "detach",              "member", DETACH, 202),
    "os-force_detach":        (force_detach,         ADMIN + "force_detach",         "admin",  DETACH, 202),
    "os-set_bootable":        (set_bootable,         PREFIX + "set_bootable",        "member", _object("bootable", bootable=FLAG), 200),
    "os-update_readonly_flag": (set_readonly,        PREFIX + "update_readonly_flag", "member", _object("readonly", readonly=FLAG), 202),
    "os-set_image_metadata":  (set_image_metadata,   "volume_extension:volume_image_metadata:set", "member",
                               _object("metadata", metadata=WORDS), 200),
    "os-unset_image_metadata": (unset_image_metadata, "volume_extension:volume_image_metadata:remove", "member",
                                _object("key", key={"type": "string"}), 200),
    "os-show_image_metadata": (show_image_metadata,  "volume_extension:volume_image_metadata:show", "reader", ANY, 200),
    "os-reset_status":        (reset_status,         ADMIN + "reset_status",         "admin",  RESET, 202),
    "os-force_delete":        (force_delete,         ADMIN + "force_delete",         "admin",  ANY, 202),
}
BODY = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
        "properties": {name: entry[3] for name, entry in ACTIONS.items()}}
RULES = {entry[1]: Rule(PERSONAS[entry[2]]) for entry in ACTIONS.values()}


def act(call: Call, id: str) -> Answer:
    """POST of volumes/{id}/action."""
    assert call.application is not None
    name, given = next(iter(call.body.items()))
    if name == "os-volume_upload_image":
        with call.application.database.read() as call.db: volume = _permitted(call, id, name)
        given = {**given, "image": _make_image(call, volume, given)}
    try:
        with call.application.database.write() as call.db:
            return Answer(ACTIONS[name][4], ACTIONS[name][0](call, _permitted(call, id, name), given))
    except Failure:
        if name == "os-volume_upload_image": image.delete(call, given["image"]["id"])
        raise


def _permitted(call: Call, id: str, name: str) -> Volume:
    rule = ACTIONS[name][1]
    volume: Volume = volume_.RESOURCE.find(call, id)
    if not call.granted("volume", id) and not call.allowed(rule, {"project_id": volume.project_id}): raise Forbidden(action=rule)
    return volume


ROUTES = [Route("/v3/volumes/{id}/action", "POST", act, None, body=BODY)]
