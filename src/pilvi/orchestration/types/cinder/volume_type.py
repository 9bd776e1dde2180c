"""OS::Cinder::VolumeType: a kind of volume."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotServed
from pilvi.orchestration.types.interface import SHOW, Work, boolean, list_of, map_of, string
from pilvi.orchestration.types.rest import RestResource


class VolumeType(RestResource):
    """Only administrators make them."""
    name = "OS::Cinder::VolumeType"
    description = "A kind of volume, for administrators."
    since = "2015.1"
    service = requires_service = "volume"
    path, singular = "/v3/types", "volume_type"
    properties = {
        "name": string("Its name.", required=True, update=True),
        "metadata": map_of(None, "Extra specs: wishes to the scheduler and the driver.", update=True, wire=""),
        "is_public": boolean("May all projects use it?", default=True, update=True, wire="os-volume-type-access:is_public", since="5.0.0"),
        "description": string("What it is for.", update=True, since="5.0.0"),
        "projects": list_of(string("", refers="keystone.project"), "The projects that may use it, if it is not public.", default=[],
                            update=True, wire="", since="5.0.0"),
    }
    attributes = {"show": SHOW}

    def create(self, work: Work) -> None:
        if work.properties["projects"]: raise NotServed(what="volume types for some projects only")
        super().create(work)
        if work.properties["metadata"]: self._specify(work, work.properties["metadata"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        if changes.get("projects"): raise NotServed(what="volume types for some projects only")
        told = {name: value for name, value in changes.items()
                if name in ("name", "description", "is_public") and value is not None}
        if told: work.ask("volume", "PUT", self.item(work), {"volume_type": told})
        if "metadata" in changes: self._specify(work, changes["metadata"] or {})

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("volume", "GET", self.path, is_public="None")["volume_types"]
        return next((one for one in found if one["name"] == body["name"] and not (work.engine and work.engine.known(one["id"]))), None)

    def _specify(self, work: Work, specs: dict[str, Any]) -> None:
        path = f"{self.item(work)}/extra_specs"
        for key in set(work.ask("volume", "GET", path)["extra_specs"]) - set(specs): work.ask("volume", "DELETE", f"{path}/{key}")
        if specs: work.ask("volume", "POST", path, {"extra_specs": {key: str(value) for key, value in specs.items()}})
