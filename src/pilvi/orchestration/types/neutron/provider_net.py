"""OS::Neutron::ProviderNet: a network whose way through the real world an administrator names."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.interface import LIST, SHOW, Attribute, PropertyInvalid, boolean, list_of, string
from pilvi.orchestration.types.neutron.resource import ADMIN_STATE, TAGS, TENANT, NetworkResource


class ProviderNet(NetworkResource):
    """A network on a physical one, as it is or in a VLAN."""
    name = "OS::Neutron::ProviderNet"
    description = "A network on a physical network, for administrators."
    path, singular = "/v2.0/networks", "network"
    properties = {
        "name": string("Its name.", update=True),
        "network_type": string("How its packets travel.", required=True, update=True, wire="provider:network_type",
                               constraints=(AllowedValues(("local", "vlan", "vxlan", "gre", "geneve", "flat")),)),
        "physical_network": string("The physical network that carries it.", update=True, wire="provider:physical_network"),
        "segmentation_id": string("The number of its VLAN or tunnel.", update=True, wire="provider:segmentation_id"),
        **ADMIN_STATE,
        "shared": boolean("May all projects use it?", default=True, update=True),
        "port_security_enabled": boolean("Are its ports' packets checked, unless a port says otherwise?", update=True, since="8.0.0"),
        "router_external": boolean("Does it lead outside?", default=False, update=True, wire="router:external", since="6.0.0"),
        "tags": TAGS,
        "availability_zone_hints": list_of(string(), "The zones it should be in.", since="19.0.0"),
        "tenant_id": TENANT,
    }
    attributes = {"status": Attribute("Its status."), "subnets": Attribute("The ids of its subnets.", LIST),
                  "segments": Attribute("The segments it consists of.", LIST), "show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["segmentation_id"] and properties["network_type"] not in ("vlan", "vxlan", "gre", "geneve", None):
            raise PropertyInvalid(path="segmentation_id", reason="it is prohibited for networks of this type")
