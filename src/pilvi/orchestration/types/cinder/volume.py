"""OS::Cinder::Volume: a volume.

Source: Template Guide, "OS::Cinder::Volume"; Block Storage API v3, "Volumes (volumes)".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilvi.core.errors import Invalid, NotFound, NotServed
from pilvi.orchestration.template.schema import Range
from pilvi.orchestration.types.interface import (
    LIST,
    MAP,
    SHOW,
    Attribute,
    PropertyInvalid,
    ResourceFailed,
    Work,
    boolean,
    integer,
    map_of,
    string,
)
from pilvi.orchestration.types.rest import RestResource

SOURCES = ("snapshot_id", "source_volid", "image")


class Volume(RestResource):
    """Made empty, of a snapshot, of another volume or of an image. It grows in place, and never shrinks."""
    name = "OS::Cinder::Volume"
    description = "A volume."
    service = requires_service = "volume"
    path, singular = "/v3/volumes", "volume"
    ready = ("available", "in-use")
    broken = ("error", "error_restoring", "error_extending", "error_deleting")
    properties = {
        "availability_zone": string("The zone it is to be in."),
        "size": integer("Its size in GiB.", update=True, constraints=(Range(1),)),
        "snapshot_id": string("The snapshot it is made of.", refers="cinder.snapshot"),
        "backup_id": string("The backup it is made of.", update=True),
        "name": string("Its name.", update=True),
        "description": string("What it is for.", update=True),
        "volume_type": string("Its type.", update=True, refers="cinder.vtype"),
        "metadata": map_of(None, "Words kept with it.", default={}, update=True),
        "image": string("The image it is made of.", wire="imageRef", refers="glance.image", older=("imageRef",)),
        "source_volid": string("The volume it is a copy of.", refers="cinder.volume"),
        "scheduler_hints": map_of(None, "Wishes to the scheduler.", since="2015.1"),
        "read_only": boolean("May it only be read?", update=True, wire="", since="5.0.0"),
    }
    attributes = {
        "availability_zone": Attribute("The zone it is in."),
        "size": Attribute("Its size in GiB."),
        "snapshot_id": Attribute("The snapshot it was made of."),
        "display_name": Attribute("Its name.", wire="name"),
        "display_description": Attribute("What it is for.", wire="description"),
        "volume_type": Attribute("Its type."),
        "metadata": Attribute("The words kept with it, as JSON."),
        "source_volid": Attribute("The volume it is a copy of."),
        "status": Attribute("Its status."),
        "created_at": Attribute("When it was made."),
        "bootable": Attribute("Can a server boot from it?"),
        "metadata_values": Attribute("The words kept with it.", MAP, wire="metadata"),
        "encrypted": Attribute("Is it encrypted?"),
        "attachments": Attribute("Which servers have it, as JSON."),
        "attachments_list": Attribute("Which servers have it.", LIST, wire="attachments"),
        "multiattach": Attribute("May several servers have it?", "boolean"),
        "show": SHOW,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        said = [name for name in SOURCES if properties[name]]
        if len(said) > 1:
            raise PropertyInvalid(path=said[0], reason='If "size" is provided, only one of "image", "source_volid", "snapshot_id" can be '
                                                       f"specified, but currently specified options: {said}.")

    def body(self, work: Work) -> dict[str, Any]:
        return {name: value for name, value in super().body(work).items() if value != {}}

    def wrapped(self, body: dict[str, Any]) -> dict[str, Any]:
        hints = body.pop("scheduler_hints", None)
        return super().wrapped(body) | ({"OS-SCH-HNT:scheduler_hints": hints} if hints else {})

    def created(self, work: Work) -> bool:
        if not super().created(work): return False
        if work.properties["read_only"] is not None: self._lock(work, work.properties["read_only"])
        return True

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        if "volume_type" in changes: raise NotServed(what="changing the type of a volume")
        if changes.get("backup_id"): raise NotServed(what="volume backups")
        told: dict[str, Any] = {}
        if "name" in changes: told["name"] = changes["name"] or work.physical_name
        if "description" in changes: told["description"] = changes["description"] or ""
        if told: work.ask("volume", "PUT", self.item(work), {"volume": told})
        if "metadata" in changes: work.ask("volume", "PUT", f"{self.item(work)}/metadata", {"metadata": changes["metadata"] or {}})
        if changes.get("read_only") is not None: self._lock(work, changes["read_only"])
        if changes.get("size"):
            if changes["size"] < self.shown(work)["size"]: raise NotServed(what="shrinking of volumes")
            work.data.pop("left", None)
            self._grown(work, changes["size"])

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return not changes.get("size") or self._grown(work, changes["size"])

    def deleted(self, work: Work) -> bool:
        if not work.physical_id: return True
        try: status = self.shown(work)["status"]
        except NotFound: return True
        if status == "error_deleting": raise Invalid(f"Volume {work.physical_id} could not be deleted.")
        return False

    def snapshot(self, work: Work) -> dict[str, Any]:
        raise NotServed(what="volume backups")

    def failed_needs_replacement(self, work: Work) -> bool:
        if not work.physical_id: return True
        try: return self.shown(work)["status"] in ("error", "deleting")
        except NotFound: return True

    def attribute(self, work: Work, name: str) -> Any:
        value = super().attribute(work, name)
        if name in ("metadata", "attachments"): return msgspec.json.encode(value).decode()
        return value if self.attributes[name].type != "string" or name in ("display_name", "display_description") else str(value)

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("volume", "GET", "/v3/volumes/detail", name=body["name"])["volumes"]
        return self.fresh(work, found, body["name"])

    def _grown(self, work: Work, size: int) -> bool:
        """One step of growing: a volume that a server holds leaves it, grows and returns. True once all is done. May be repeated."""
        volume = self.shown(work)
        status, path = volume["status"], "/v2.1/servers/{server}/os-volume_attachments"
        if status in self.broken: raise ResourceFailed(status=status, reason="Volume resize failed")
        if volume["size"] < size:
            if status == "in-use" and "left" not in work.data:
                held = volume["attachments"][0]
                work.data["left"] = {"server": held["server_id"], "device": held["device"]}
                work.ask("compute", "DELETE", f"{path.format(**work.data['left'])}/{work.physical_id}")
            if status == "available": work.ask("volume", "POST", f"{self.item(work)}/action", {"os-extend": {"new_size": size}})
            return False
        if status == "available" and (left := work.data.get("left")):
            body = {"volumeId": work.physical_id, "device": left["device"]}
            work.ask("compute", "POST", path.format(**left), {"volumeAttachment": body})
            return False
        return status in self.ready and not (status == "available" and "left" in work.data)

    def _lock(self, work: Work, flag: bool) -> None:
        work.ask("volume", "POST", f"{self.item(work)}/action", {"os-update_readonly_flag": {"readonly": flag}})
