"""OS::Neutron::Port: a card of a machine on a network, with its addresses."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import (
    LIST,
    MAP,
    SHOW,
    Attribute,
    Property,
    PropertyInvalid,
    Work,
    boolean,
    list_of,
    map_of,
    string,
)
from pilvi.orchestration.types.neutron.resource import ADMIN_STATE, TAGS, VALUE_SPECS, NetworkResource, Resources, given, subnets_on

VNIC_TYPES = ("normal", "direct", "macvtap", "direct-physical", "baremetal", "virtio-forwarder", "smart-nic")
EXTRA: dict[str, Property] = {
    "value_specs": VALUE_SPECS,
    **ADMIN_STATE,
    "mac_address": string("Its MAC address."),
    "allowed_address_pairs": list_of(map_of({"mac_address": string("The MAC address; not given: the port's own."),
                                             "ip_address": string("The address or block.", required=True)}),
                                     "More addresses that it may send from.", update=True),
    "binding:vnic_type": string("The kind of card.", default="normal", update=True, since="2015.1",
                                constraints=(AllowedValues(VNIC_TYPES),)),
    "port_security_enabled": boolean("Are its packets checked?", update=True, since="5.0.0"),
    "no_fixed_ips": boolean("Is it to have no address?", default=False, update=True, wire="", since="16.0.0"),
}
"""What a server's `port_extra_properties` may also say."""


class Port(NetworkResource):
    """Ports wait for all subnets of their network that the template makes: an address may come from any of them."""
    name = "OS::Neutron::Port"
    description = "A port of a network: a machine's card with its addresses."
    path, singular = "/v2.0/ports", "port"
    properties = {
        "name": string("Its name.", update=True),
        "network": string("The network.", required=True, wire="network_id", refers="neutron.network", older=("network_id",),
                          since="2014.2"),
        "device_id": string("The id of the machine it belongs to.", default="", update=True),
        "device_owner": string("Whose machine that is, as the network service writes it.", default="", update=True),
        "fixed_ips": list_of(map_of({
            "subnet": string("The subnet.", wire="subnet_id", refers="neutron.subnet", older=("subnet_id",), since="2014.2"),
            "ip_address": string("The address.")}), "The addresses it is to have.", update=True),
        "security_groups": list_of(string("", refers="neutron.security_group"), "Its security groups; empty: none; not given: the default.",
                                   update=True),
        "replacement_policy": string("No longer of use.", default="AUTO", update=True, wire="",
                                     constraints=(AllowedValues(("REPLACE_ALWAYS", "AUTO")),)),
        "tags": TAGS,
        **EXTRA,
    }
    attributes = {
        "admin_state_up": Attribute("Is it switched on?"),
        "device_id": Attribute("The machine it belongs to."),
        "device_owner": Attribute("Whose machine that is."),
        "fixed_ips": Attribute("Its addresses: ip_address and subnet_id.", LIST),
        "mac_address": Attribute("Its MAC address."),
        "name": Attribute("Its name."),
        "network_id": Attribute("Its network."),
        "security_groups": Attribute("The ids of its security groups.", LIST),
        "status": Attribute("Its status."),
        "tenant_id": Attribute("The project that owns it."),
        "allowed_address_pairs": Attribute("More addresses that it may send from.", LIST),
        "subnets": Attribute("All that is known of its addresses' subnets.", LIST),
        "port_security_enabled": Attribute("Are its packets checked?", "boolean"),
        "dns_assignment": Attribute("The names of its addresses.", MAP),
        "network": Attribute("All that is known of its network.", MAP),
        "show": SHOW,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["fixed_ips"] and properties["no_fixed_ips"]:
            raise PropertyInvalid(path="fixed_ips", reason="Cannot define the following properties at the same time: fixed_ips, "
                                                           "no_fixed_ips.")

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        return subnets_on(resources, given(resources[name][1], "network", "network_id"))

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return changes.get("replacement_policy") == "REPLACE_ALWAYS"

    def body(self, work: Work) -> dict[str, Any]:
        return _addresses(super().body(work), work.properties["no_fixed_ips"])

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        body = _addresses(super().change(work, changes), changes.get("no_fixed_ips"))
        if body.get("security_groups", ()) is None: body["security_groups"] = [find(work.call, "neutron.security_group", "default")]
        return {name: value if value is not None else [] if name == "allowed_address_pairs" else value for name, value in body.items()
                if value is not None or name in ("allowed_address_pairs",)}

    def attribute(self, work: Work, name: str) -> Any:
        if name == "subnets":
            ids = [address["subnet_id"] for address in self.shown(work)["fixed_ips"]]
            return [work.ask("network", "GET", f"/v2.0/subnets/{id}")["subnet"] for id in ids]
        if name == "network": return work.ask("network", "GET", f"/v2.0/networks/{self.shown(work)['network_id']}")["network"]
        return super().attribute(work, name)


def _addresses(body: dict[str, Any], none: Any) -> dict[str, Any]:
    """An empty list of addresses means: as if none were given. Having none is said by no_fixed_ips."""
    if none: return body | {"fixed_ips": []}
    if not body.get("fixed_ips"): body.pop("fixed_ips", None)
    return body
