"""OS::Neutron::Net: a network."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import Range
from pilvi.orchestration.types.interface import LIST, MAP, SHOW, Attribute, Work, boolean, integer, list_of, map_of, string
from pilvi.orchestration.types.rest import RestResource


class Net(RestResource):
    """A network; its subnets are resources of their own."""
    name = "OS::Neutron::Net"
    description = "A resource for managing Neutron net."
    service, path, singular, requires_service = "network", "/v2.0/networks", "network", "network"
    properties = {
        "name": string("A string specifying a symbolic name for the network, which is not required to be unique.", update=True),
        "admin_state_up": boolean("A boolean value specifying the administrative status of the network.", default=True, update=True),
        "shared": boolean("Whether this network should be shared across all tenants.", default=False, update=True),
        "port_security_enabled": boolean("Flag to enable/disable port security on the network.", update=True),
        "tenant_id": string("The ID of the tenant which will own the network. Only administrative users can set it."),
        "value_specs": map_of(None, "Extra parameters to include in the request.", default={}, update=True, wire=""),
        "dns_domain": string("DNS domain associated with this network.", update=True, since="7.0.0"),
        "tags": list_of(string(), "The tags to be added to the network.", update=True, wire="", since="9.0.0"),
        "availability_zone_hints": list_of(string(), "Availability zone candidates for the network.", since="19.0.0"),
        "mtu": integer("The maximum transmission unit size in bytes for the network.", constraints=(Range(68, 65535),), update=True),
    }
    attributes = {
        "status": Attribute("The status of the network."),
        "name": Attribute("The name of the network."),
        "subnets": Attribute("Subnets of this network.", LIST),
        "admin_state_up": Attribute("The administrative status of the network."),
        "tenant_id": Attribute("The tenant owning this network."),
        "port_security_enabled": Attribute("Port security enabled of the network.", "boolean"),
        "mtu": Attribute("The maximum transmission unit size(in bytes) for the network.", "integer"),
        "qos_policy_id": Attribute("The QoS policy ID attached to this network."),
        "segments": Attribute("The segments of this network.", LIST),
        "show": SHOW,
        "value_specs": Attribute("Extra parameters.", MAP),
    }

    def body(self, work: Work) -> dict[str, Any]:
        return super().body(work) | (work.properties["value_specs"] or {})

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return super().change(work, changes) | (changes.get("value_specs") or {})

    def create(self, work: Work) -> None:
        super().create(work)
        if work.properties["tags"]: self._tag(work, work.properties["tags"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        if "tags" in changes: self._tag(work, changes["tags"] or [])

    def _tag(self, work: Work, tags: list[str]) -> None:
        work.ask("network", "PUT", f"{self.item(work)}/tags", {"tags": tags})
