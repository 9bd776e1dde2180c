"""OS::Nova::HostAggregate: hosts that have something in common, an availability zone for one."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import SHOW, Work, list_of, map_of, string
from pilvi.orchestration.types.rest import RestResource


class HostAggregate(RestResource):
    """Only administrators make them."""
    name = "OS::Nova::HostAggregate"
    description = "Hosts that have something in common, for administrators."
    since = "6.0.0"
    service = requires_service = "compute"
    path, singular = "/v2.1/os-aggregates", "aggregate"
    properties = {
        "name": string("Its name.", required=True, update=True),
        "availability_zone": string("The availability zone that its hosts form.", update=True),
        "hosts": list_of(string(), "Its hosts.", update=True, wire=""),
        "metadata": map_of(None, "Words that the scheduler compares with those of flavors.", default={}, update=True, wire=""),
    }
    attributes = {"show": SHOW}

    def create(self, work: Work) -> None:
        super().create(work)
        self._become(work, work.properties["hosts"] or [], work.properties["metadata"] or {})

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        wanted = {**work.properties, **changes}
        self._become(work, wanted["hosts"] or [], wanted["metadata"] or {})

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super().change(work, changes).items() if value is not None}

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        try: self._become(work, [], None)
        except NotFound: return
        super().delete(work)

    def _become(self, work: Work, hosts: list[str], metadata: dict[str, Any] | None) -> None:
        present = self.shown(work)
        if metadata is not None:
            gone = {key: None for key in present["metadata"] if key not in metadata and key != "availability_zone"}
            words = {key: str(value) for key, value in metadata.items()}
            if gone or words: self._act(work, set_metadata={"metadata": {**gone, **words}})
        for host in present["hosts"]:
            if host not in hosts: self._act(work, remove_host={"host": host})
        for host in hosts:
            if host not in present["hosts"]: self._act(work, add_host={"host": host})

    def _act(self, work: Work, **action: Any) -> None:
        work.ask("compute", "POST", f"{self.item(work)}/action", action)
