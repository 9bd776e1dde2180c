"""OS::Neutron::ExtraRouteSet: routes of a router beside those it has by its legs; others may add their own."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import SHOW, ResourceType, Work, list_of, map_of, string
from pilvi.orchestration.types.neutron.resource import Resources, same
from pilvi.orchestration.types.rest import resolve

Route = dict[str, str]


class ExtraRouteSet(ResourceType):
    """Remembers its routes, so that only these are ended."""
    name = "OS::Neutron::ExtraRouteSet"
    description = "Routes of a router."
    since = "14.0.0"
    requires_service = "network"
    properties = {
        "router": string("The router.", required=True, refers="neutron.router"),
        "routes": list_of(map_of({"destination": string("The block to reach.", required=True),
                                  "nexthop": string("The address to go by.", required=True)}), "The routes.", default=[], update=True),
    }
    attributes = {"show": SHOW}

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        router = resources[name][1].get("router")
        return [other for other, (kind, properties) in resources.items()
                if kind == "OS::Neutron::RouterInterface" and same(properties.get("router"), router)]

    def create(self, work: Work) -> None:
        work.physical_id = resolve(work, self.properties["router"], work.properties["router"])
        self._become(work, work.properties["routes"] or [])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        self._become(work, changes.get("routes") or [])

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        try: self._become(work, [])
        except NotFound: pass

    def check(self, work: Work) -> None:
        present = self.attribute(work, "show")["routes"]
        if any(route not in present for route in work.data.get("routes", [])):
            raise NotFound(f"Router {work.physical_id} has lost routes of {work.name}")

    def attribute(self, work: Work, name: str) -> Any:
        return work.ask("network", "GET", f"/v2.0/routers/{work.physical_id}")["router"]

    def _become(self, work: Work, wanted: list[Route]) -> None:
        """Adding what is there and removing what is gone is no error to the API, so this may be repeated."""
        before: list[Route] = work.data.get("routes", [])
        work.data["routes"] = before + [route for route in wanted if route not in before]
        for verb, routes in (("remove", [route for route in before if route not in wanted]), ("add", wanted)):
            if not routes: continue
            body = {"router": {"routes": routes}}
            work.ask("network", "PUT", f"/v2.0/routers/{work.physical_id}/{verb}_extraroutes", body)
        work.data["routes"] = wanted
