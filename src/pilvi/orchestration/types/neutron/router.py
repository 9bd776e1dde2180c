"""OS::Neutron::Router, RouterInterface and RouterGateway: a router, its legs on subnets, and its way outside."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import (
    MAP,
    SHOW,
    Attribute,
    PropertyInvalid,
    ResourceType,
    Work,
    boolean,
    list_of,
    map_of,
    string,
)
from pilvi.orchestration.types.neutron.resource import (
    ADMIN_STATE,
    TAGS,
    TENANT,
    VALUE_SPECS,
    NetworkResource,
    Resources,
    given,
    same,
    subnets_on,
)
from pilvi.orchestration.types.rest import resolve


class Router(NetworkResource):
    """A router waits for the subnets of its external network: its outer address comes from them."""
    name = "OS::Neutron::Router"
    description = "A router between subnets, and to the outside."
    path, singular = "/v2.0/routers", "router"
    properties = {
        "name": string("Its name.", update=True),
        "external_gateway_info": map_of({
            "network": string("The external network.", required=True, update=True, wire="network_id", refers="neutron.network"),
            "enable_snat": boolean("Do machines without a floating IP go out by the router's address?", update=True),
            "external_fixed_ips": list_of(map_of({
                "ip_address": string("The address."),
                "subnet": string("The subnet.", wire="subnet_id", refers="neutron.subnet", older=("subnet_id",))}),
                "Its outer addresses.", update=True, since="6.0.0")}, "Its way to the outside.", update=True),
        "value_specs": VALUE_SPECS,
        **ADMIN_STATE,
        "availability_zone_hints": list_of(string(), "The zones it should be in.", update=True, since="19.0.0"),
        "tags": TAGS,
        "tenant_id": TENANT,
    }
    attributes = {
        "status": Attribute("Its status."),
        "external_gateway_info": Attribute("Its way to the outside.", MAP),
        "name": Attribute("Its name."),
        "admin_state_up": Attribute("Is it switched on?"),
        "tenant_id": Attribute("The project that owns it."),
        "show": SHOW,
    }

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        gateway = resources[name][1].get("external_gateway_info")
        return subnets_on(resources, gateway.get("network")) if isinstance(gateway, Mapping) else ()

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        body = super().change(work, changes)
        if body.get("external_gateway_info", "") is None: body["external_gateway_info"] = {}
        return body


class RouterInterface(ResourceType):
    """Its physical id is ROUTER:subnet_id=ID or ROUTER:port_id=ID, all that is needed to end it."""
    name = "OS::Neutron::RouterInterface"
    description = "A router's leg on a subnet."
    requires_service = "network"
    properties = {
        "router": string("The router.", required=True, refers="neutron.router", older=("router_id",)),
        "subnet": string("The subnet; either this or a port.", refers="neutron.subnet", older=("subnet_id",)),
        "port": string("The port; either this or a subnet.", refers="neutron.port", older=("port_id",), since="2015.1"),
    }
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["subnet"] and properties["port"]:
            raise PropertyInvalid(path="subnet", reason="Cannot define the following properties at the same time: subnet, port.")

    def create(self, work: Work) -> None:
        router = resolve(work, self.properties["router"], work.properties["router"])
        kind = "subnet" if work.properties["subnet"] else "port"
        if not work.properties[kind]: raise PropertyInvalid(path="subnet", reason="At least one of the following properties must be "
                                                                                   "specified: subnet, port.")
        id = resolve(work, self.properties[kind], work.properties[kind])
        work.physical_id = f"{router}:{kind}_id={id}"
        if work.again and self._port(work): return
        work.ask("network", "PUT", f"/v2.0/routers/{router}/add_router_interface", {f"{kind}_id": id})

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        router, kind, id = _parts(work.physical_id)
        try: work.ask("network", "PUT", f"/v2.0/routers/{router}/remove_router_interface", {kind: id})
        except NotFound: pass

    def check(self, work: Work) -> None:
        if not self._port(work): raise NotFound(f"Router interface {work.physical_id} could not be found")

    def attribute(self, work: Work, name: str) -> Any:
        return self._port(work)

    def _port(self, work: Work) -> dict[str, Any] | None:
        router, kind, id = _parts(work.physical_id or "::=")
        ports: list[dict[str, Any]] = work.ask("network", "GET", "/v2.0/ports", device_id=router)["ports"]
        return next((port for port in ports if (port["id"] == id if kind == "port_id" else
                                                any(ip["subnet_id"] == id for ip in port["fixed_ips"]))), None)


class RouterGateway(ResourceType):
    """Older than the router's `external_gateway_info`, which says the same."""
    name = "OS::Neutron::RouterGateway"
    description = "A router's way to the outside."
    requires_service = "network"
    properties = {
        "router_id": string("The router.", required=True, refers="neutron.router"),
        "network": string("The external network.", required=True, refers="neutron.network", older=("network_id",)),
    }
    attributes = {"show": SHOW}

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        own = resources[name][1]
        legs = [other for other, (kind, properties) in resources.items() if kind == "OS::Neutron::RouterInterface"
                and same(given(properties, "router", "router_id"), own.get("router_id"))]
        return [*legs, *subnets_on(resources, given(own, "network", "network_id"))]

    def create(self, work: Work) -> None:
        router = resolve(work, self.properties["router_id"], work.properties["router_id"])
        network = resolve(work, self.properties["network"], work.properties["network"])
        work.ask("network", "PUT", f"/v2.0/routers/{router}", {"router": {"external_gateway_info": {"network_id": network}}})
        work.physical_id = f"{router}:{network}"

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        router = work.physical_id.partition(":")[0]
        try: work.ask("network", "PUT", f"/v2.0/routers/{router}", {"router": {"external_gateway_info": {}}})
        except NotFound: pass

    def check(self, work: Work) -> None:
        if not self.attribute(work, "show"): raise NotFound(f"Router gateway {work.physical_id} could not be found")

    def attribute(self, work: Work, name: str) -> Any:
        router = (work.physical_id or "").partition(":")[0]
        return work.ask("network", "GET", f"/v2.0/routers/{router}")["router"]["external_gateway_info"]


def _parts(physical_id: str) -> tuple[str, str, str]:
    """(router, "subnet_id" or "port_id", id)"""
    router, _, rest = physical_id.partition(":")
    kind, _, id = rest.partition("=")
    return router, kind, id
