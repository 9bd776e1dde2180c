"""OS::Cinder::VolumeAttachment: a volume in a server."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import SHOW, ResourceFailed, ResourceType, Work, string


class VolumeAttachment(ResourceType):
    """Its physical id is the volume's, as the compute API calls it. A change detaches there and attaches here."""
    name = "OS::Cinder::VolumeAttachment"
    description = "Puts a volume into a server."
    requires_service = "volume"
    properties = {
        "instance_uuid": string("The server.", required=True, update=True),
        "volume_id": string("The volume.", required=True, update=True, refers="cinder.volume"),
        "mountpoint": string("The name of the device in the server, which is a wish only.", update=True),
    }
    attributes = {"show": SHOW}

    def create(self, work: Work) -> None:
        self._aim(work, work.properties)
        work.physical_id = work.data["volume"]
        self._step(work)

    def created(self, work: Work) -> bool:
        return self._step(work)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        work.data.setdefault("leaving", []).append([work.data["server"], work.data["volume"]])
        self._aim(work, {**work.properties, **changes})
        work.physical_id = work.data["volume"]
        self._step(work)

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self._step(work)

    def delete(self, work: Work) -> None:
        self.deleted(work)

    def deleted(self, work: Work) -> bool:
        return all(self._detached(work, *one) for one in [*work.data.get("leaving", []), *self._present(work)])

    def check(self, work: Work) -> None:
        if not _holds(work, work.data["server"], work.data["volume"]):
            raise ResourceFailed(status="detached", reason="the server does not have the volume")

    def attribute(self, work: Work, name: str) -> Any:
        return work.ask("volume", "GET", f"/v3/volumes/{work.data['volume']}")["volume"]

    def _aim(self, work: Work, wanted: Mapping[str, Any]) -> None:
        work.data |= {"server": wanted["instance_uuid"], "device": wanted["mountpoint"],
                      "volume": find(work.call, "cinder.volume", wanted["volume_id"])}

    def _present(self, work: Work) -> list[list[str]]:
        return [[work.data["server"], work.data["volume"]]] if "server" in work.data else []

    def _step(self, work: Work) -> bool:
        """Lets go of the old place, then goes to the new one; True once it is there. May be repeated."""
        while work.data.get("leaving"):
            if not self._detached(work, *work.data["leaving"][0]): return False
            work.data["leaving"].pop(0)
        server, volume = work.data["server"], work.data["volume"]
        status = work.ask("volume", "GET", f"/v3/volumes/{volume}")["volume"]["status"]
        if status.startswith("error"): raise ResourceFailed(status=status, reason="Volume attachment failed")
        if _holds(work, server, volume): return bool(status == "in-use")
        body = {"volumeId": volume} | ({"device": work.data["device"]} if work.data["device"] else {})
        if status == "available": work.ask("compute", "POST", f"/v2.1/servers/{server}/os-volume_attachments", {"volumeAttachment": body})
        return False

    def _detached(self, work: Work, server: str, volume: str) -> bool:
        """Asks for it once, and tells whether it has come about."""
        try: status = work.ask("volume", "GET", f"/v3/volumes/{volume}")["volume"]["status"]
        except NotFound: return True
        if not _holds(work, server, volume): return bool(status != "detaching")
        if status == "in-use":
            try: work.ask("compute", "DELETE", f"/v2.1/servers/{server}/os-volume_attachments/{volume}")
            except NotFound: return True
        return False


def _holds(work: Work, server: str, volume: str) -> bool:
    """Does the server have the volume?"""
    return not work.gone("compute", f"/v2.1/servers/{server}/os-volume_attachments/{volume}")
