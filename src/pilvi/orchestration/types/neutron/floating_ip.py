"""OS::Neutron::FloatingIP and FloatingIPAssociation: an outer address, and its tie to a port."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import SHOW, Attribute, PropertyInvalid, ResourceType, Work, string
from pilvi.orchestration.types.neutron.resource import VALUE_SPECS, NetworkResource, Resources, given, same
from pilvi.orchestration.types.rest import resolve


class FloatingIP(NetworkResource):
    """A floating IP waits for the routers of the template: a port can only be tied to it once a router joins the two networks."""
    name = "OS::Neutron::FloatingIP"
    description = "An address of an external network, which may lead to a port."
    path, singular, named = "/v2.0/floatingips", "floatingip", False
    properties = {
        "floating_network": string("The external network.", required=True, wire="floating_network_id", refers="neutron.network",
                                   older=("floating_network_id",), since="2014.2"),
        "floating_subnet": string("The subnet to take it from.", wire="subnet_id", refers="neutron.subnet", since="9.0.0"),
        "value_specs": VALUE_SPECS,
        "port_id": string("The port it leads to.", update=True, refers="neutron.port"),
        "fixed_ip_address": string("Which of the port's addresses.", update=True),
        "floating_ip_address": string("The address, for those who may choose.", since="5.0.0"),
    }
    attributes = {
        "router_id": Attribute("The router that joins the two networks."),
        "tenant_id": Attribute("The project that owns it."),
        "floating_network_id": Attribute("Its network."),
        "fixed_ip_address": Attribute("The inner address it leads to."),
        "floating_ip_address": Attribute("The address."),
        "port_id": Attribute("The port it leads to."),
        "show": SHOW,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["fixed_ip_address"] and not properties["port_id"]:
            raise PropertyInvalid(path="fixed_ip_address", reason="fixed_ip_address cannot be specified without port_id.")

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        outside = given(resources[name][1], "floating_network", "floating_network_id")
        return ways_out(resources, outside, bool(resources[name][1].get("port_id")))

    def body(self, work: Work) -> dict[str, Any]:
        """It has no name to be found by after a crash, so it carries the resource's id in its description."""
        return {"description": _mark(work)} | super().body(work)

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("network", "GET", self.path, description=_mark(work))["floatingips"]
        return next(iter(found), None)

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {**work.properties, **changes}
        port, address = wanted["port_id"], wanted["fixed_ip_address"]
        return {"port_id": resolve(work, self.properties["port_id"], port), "fixed_ip_address": address if port else None}


class FloatingIPAssociation(ResourceType):
    """The tie itself; the floating IP and the port live on without it."""
    name = "OS::Neutron::FloatingIPAssociation"
    description = "Lets a floating IP lead to a port."
    requires_service = "network"
    properties = {
        "floatingip_id": string("The floating IP.", required=True, update=True),
        "port_id": string("The port.", required=True, update=True, refers="neutron.port"),
        "fixed_ip_address": string("Which of the port's addresses.", update=True),
    }
    attributes = {"show": SHOW}

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        return [other for other, (kind, _) in resources.items() if kind == "OS::Neutron::RouterInterface"]

    def create(self, work: Work) -> None:
        work.data["floatingip_id"] = work.properties["floatingip_id"]
        self._tie(work, work.properties)
        work.physical_id = work.resource_id

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        before, wanted = work.data.get("floatingip_id"), {**work.properties, **changes}
        if before and before != wanted["floatingip_id"]: self._untie(work, before)
        work.data["floatingip_id"] = wanted["floatingip_id"]
        self._tie(work, wanted)

    def delete(self, work: Work) -> None:
        if work.data.get("floatingip_id"): self._untie(work, work.data["floatingip_id"])

    def check(self, work: Work) -> None:
        if not self.attribute(work, "show").get("port_id"): raise NotFound(f"Floating IP {work.data['floatingip_id']} leads to no port")

    def attribute(self, work: Work, name: str) -> Any:
        return work.ask("network", "GET", f"/v2.0/floatingips/{work.data['floatingip_id']}")["floatingip"]

    def _tie(self, work: Work, wanted: Mapping[str, Any]) -> None:
        body = {"port_id": resolve(work, self.properties["port_id"], wanted["port_id"])}
        if wanted["fixed_ip_address"]: body["fixed_ip_address"] = wanted["fixed_ip_address"]
        work.ask("network", "PUT", f"/v2.0/floatingips/{wanted['floatingip_id']}", {"floatingip": body})

    def _untie(self, work: Work, id: str) -> None:
        try: work.ask("network", "PUT", f"/v2.0/floatingips/{id}", {"floatingip": {"port_id": None}})
        except NotFound: pass


def ways_out(resources: Resources, network: Any, tied: bool) -> Iterable[str]:
    """What of the template joins the external network with others. `tied`: a port waits, so inner legs matter, too."""
    for name, (kind, properties) in resources.items():
        if kind == "OS::Neutron::RouterGateway" and same(given(properties, "network", "network_id"), network): yield name
        if kind == "OS::Neutron::Router":
            gateway = properties.get("external_gateway_info")
            if isinstance(gateway, Mapping) and same(gateway.get("network"), network): yield name
        if tied and kind == "OS::Neutron::RouterInterface": yield name


def _mark(work: Work) -> str:
    return f"resource {work.resource_id}"
