"""What a new volume is made of: nothing, an image, a snapshot or another volume; what each demands of it.

Source: Block Storage API v3, "Create a volume": imageRef, snapshot_id, source_volid.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid, NotFound
from pilvi.image import client as image
from pilvi.volume import errors
from pilvi.volume.resources.tables import GIB, Snapshot, Volume

IMAGE_FACTS = ("checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")
IMAGE_OWN = {"id", "name", "status", "visibility", "owner", "created_at", "updated_at", "tags", "file", "self", "schema", "protected",
             "os_hidden", "os_hash_algo", "os_hash_value", "virtual_size", "locations", "direct_url", "stores", *IMAGE_FACTS}
FORMATS = ("raw", "qcow2", "iso")


def look_up(call: Call, values: dict[str, Any]) -> dict[str, Any] | None:
    """The image's facts, asked of the image service with the caller's token (outside any transaction). Raises ImageUnknown."""
    if not values.get("image_id"): return None
    try: return image.show(call, values["image_id"])
    except (NotFound, Forbidden, Invalid): raise errors.ImageUnknown() from None


def check_image(facts: dict[str, Any], size: int) -> None:
    """Raises InvalidInput, ImageUnacceptable unless the image can be put on a volume of that size."""
    if facts["status"] != "active": raise errors.InvalidInput(reason=f"Image {facts['id']} is not active.")
    if facts.get("disk_format") not in FORMATS or facts.get("container_format") != "bare":
        raise errors.ImageUnacceptable(id=facts["id"], reason=f"a disk format out of {', '.join(FORMATS)} in a bare container is needed.")
    needed = -(-int(facts.get("size") or 0) // GIB)
    if needed > size: raise errors.InvalidInput(reason=f"Size of specified image {needed}GB is larger than volume size {size}GB.")
    least = int(facts.get("min_disk") or 0)
    if size < least: raise errors.InvalidInput(reason=f"Volume size {size}GB cannot be smaller than the image minDisk size {least}GB.")
    virtual = -(-int(facts.get("virtual_size") or 0) // GIB)
    if virtual > size:
        raise errors.ImageUnacceptable(
            id=facts["id"], reason=f"Image virtual size is {virtual}GB and doesn't fit in a volume of size {size}GB.")


def take_image(volume: Volume, facts: dict[str, Any]) -> None:
    """The volume remembers what the image said of itself, and boots."""
    check_image(facts, volume.size)
    properties = {name: str(value) for name, value in facts.items() if name not in IMAGE_OWN and value is not None}
    volume.image_metadata = {"image_id": facts["id"], "image_name": facts.get("name") or ""} | {
        name: str(facts[name]) for name in IMAGE_FACTS if facts.get(name) is not None} | properties
    volume.bootable = True


def take_snapshot(call: Call, volume: Volume, snapshot: Snapshot) -> None:
    """Size, type and zone follow the snapshot where they were not asked for. Raises InvalidSnapshot, InvalidInput."""
    assert call.db is not None
    if snapshot.status != "available":
        raise errors.InvalidSnapshot(reason="Originating snapshot status must be one of 'available' values")
    volume.size = volume.size or snapshot.size
    if volume.size < snapshot.size:
        raise errors.InvalidInput(reason=f"Volume size '{volume.size}'GB cannot be smaller than the snapshot size {snapshot.size}GB. "
                                         "They must be >= original snapshot size.")
    if parent := call.db.get(Volume, snapshot.volume_id): _inherit(volume, parent)


def take_volume(call: Call, volume: Volume, source: Volume) -> None:
    """Size, type and zone follow the source where they were not asked for. Raises InvalidVolume, InvalidInput."""
    assert call.db is not None
    source = lock(call.db, source.id)
    if source.status != "available":
        hint = " (a volume in use can't be copied consistently from outside its server)" if source.status == "in-use" else ""
        raise errors.InvalidVolume(reason=f"Originating source volume status must be one of 'available' values{hint}")
    volume.size = volume.size or source.size
    if volume.size < source.size:
        raise errors.InvalidInput(reason=f"Volume size '{volume.size}'GB cannot be smaller than original volume size  {source.size}GB. "
                                         "They must be >= original volume size.")
    _inherit(volume, source)


def _inherit(volume: Volume, source: Volume) -> None:
    volume.type_id = volume.type_id or source.type_id
    volume.availability_zone = volume.availability_zone or source.availability_zone
    volume.bootable, volume.image_metadata = source.bootable, source.image_metadata


def lock(db: Session, volume_id: str) -> Volume:
    """The volume as it is now, for this transaction alone: who looks at one row and writes another must not be overtaken between."""
    volume = db.get(Volume, volume_id, with_for_update=True, populate_existing=True)
    if volume is None: raise errors.VolumeNotFound(id=volume_id)
    return volume


def being_copied(db: Session, volume_id: str) -> bool:
    """Is a snapshot or a copy of the volume being made or a snapshot being removed? Then nobody else may open it."""
    snapshot = exists().where(Snapshot.volume_id == volume_id, Snapshot.busy.is_not(None), Snapshot.deleted_at.is_(None))
    copy = exists().where(Volume.source_volid == volume_id, Volume.busy == "creating", Volume.deleted_at.is_(None))
    return bool(db.execute(select(or_(snapshot, copy))).scalar())
