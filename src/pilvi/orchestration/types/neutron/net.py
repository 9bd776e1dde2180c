"""OS::Neutron::Net: a network."""
from __future__ import annotations

from pilvi.orchestration.template.schema import Range
from pilvi.orchestration.types.interface import LIST, SHOW, Attribute, boolean, integer, list_of, string
from pilvi.orchestration.types.neutron.resource import ADMIN_STATE, TAGS, TENANT, VALUE_SPECS, NetworkResource


class Net(NetworkResource):
    """A network; its subnets are resources of their own."""
    name = "OS::Neutron::Net"
    description = "A network."
    path, singular = "/v2.0/networks", "network"
    properties = {
        "name": string("Its name; several networks may have the same.", update=True),
        **ADMIN_STATE,
        "shared": boolean("May all projects use it?", default=False, update=True),
        "port_security_enabled": boolean("Are its ports' packets checked, unless a port says otherwise?", update=True),
        "tenant_id": TENANT,
        "value_specs": VALUE_SPECS,
        "tags": TAGS,
        "availability_zone_hints": list_of(string(), "The zones it should be in.", since="19.0.0"),
        "mtu": integer("The longest packet, in bytes.", constraints=(Range(68, 65535),), update=True),
    }
    attributes = {
        "status": Attribute("Its status."),
        "name": Attribute("Its name."),
        "subnets": Attribute("The ids of its subnets.", LIST),
        "admin_state_up": Attribute("Is it switched on?"),
        "tenant_id": Attribute("The project that owns it."),
        "port_security_enabled": Attribute("Are its ports' packets checked?", "boolean"),
        "mtu": Attribute("The longest packet, in bytes.", "integer"),
        "qos_policy_id": Attribute("The quality-of-service policy it follows."),
        "segments": Attribute("The segments it consists of.", LIST),
        "show": SHOW,
    }
