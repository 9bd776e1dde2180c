"""OS::Nova::Flavor: a size of server."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import Conflict, NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import MAP, SHOW, Attribute, Work, boolean, integer, list_of, map_of, number, string
from pilvi.orchestration.types.rest import RestResource


class Flavor(RestResource):
    """Only administrators make them. A private one is for the named projects, or for the stack's own."""
    name = "OS::Nova::Flavor"
    description = "A size of server, for administrators."
    since = "2014.2"
    service = requires_service = "compute"
    path, singular = "/v2.1/flavors", "flavor"
    properties = {
        "tenants": list_of(string("", refers="keystone.project"), "The projects that may use it, if it is not public.", default=[],
                           update=True, wire="", since="8.0.0"),
        "flavorid": string("Its id; not given: one is made.", wire="id", since="7.0.0"),
        "name": string("Its name.", since="7.0.0"),
        "ram": integer("MiB of memory.", required=True),
        "vcpus": integer("Processors.", required=True),
        "disk": integer("GiB of the root disk; 0: as large as the image.", default=0),
        "swap": integer("MiB of swap space.", default=0),
        "ephemeral": integer("GiB of a second local disk.", default=0, wire="OS-FLV-EXT-DATA:ephemeral"),
        "rxtx_factor": number("No longer of use.", default=1.0),
        "extra_specs": map_of(None, "Wishes to the scheduler and the hypervisor.", update=True, wire=""),
        "is_public": boolean("May all projects use it?", default=True, wire="os-flavor-access:is_public", since="6.0.0"),
    }
    attributes = {"is_public": Attribute("May all projects use it?", "boolean", wire="os-flavor-access:is_public"),
                  "extra_specs": Attribute("Wishes to the scheduler and the hypervisor.", MAP), "show": SHOW}

    def create(self, work: Work) -> None:
        super().create(work)
        self._specify(work, work.properties["extra_specs"] or {})
        if not work.properties["is_public"]: self._admit(work, work.properties["tenants"] or [work.project_id])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        if "extra_specs" in changes: self._specify(work, changes["extra_specs"] or {})
        if "tenants" in changes and not work.properties["is_public"]: self._admit(work, changes["tenants"] or [])

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("compute", "GET", self.path, is_public="None")["flavors"]
        same = [one for one in found if one["name"] == body["name"] and body.get("id") in (None, one["id"])]
        return next((one for one in same if not work.engine or not work.engine.known(one["id"])), None)

    def _specify(self, work: Work, specs: dict[str, Any]) -> None:
        path = f"{self.item(work)}/os-extra_specs"
        for key in set(work.ask("compute", "GET", path)["extra_specs"]) - set(specs): work.ask("compute", "DELETE", f"{path}/{key}")
        if specs: work.ask("compute", "POST", path, {"extra_specs": {key: str(value) for key, value in specs.items()}})

    def _admit(self, work: Work, projects: list[str]) -> None:
        wanted = {find(work.call, "keystone.project", one) for one in projects}
        present = {one["tenant_id"] for one in work.ask("compute", "GET", f"{self.item(work)}/os-flavor-access")["flavor_access"]}
        for word, ids in (("removeTenantAccess", present - wanted), ("addTenantAccess", wanted - present)):
            for id in ids:
                try: work.ask("compute", "POST", f"{self.item(work)}/action", {word: {"tenant": id}})
                except (Conflict, NotFound): pass  # somebody else was faster
