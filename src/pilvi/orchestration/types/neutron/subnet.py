"""OS::Neutron::Subnet: a block of addresses on a network."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues, Range
from pilvi.orchestration.types.interface import LIST, SHOW, Attribute, PropertyInvalid, Work, boolean, integer, list_of, map_of, string
from pilvi.orchestration.types.neutron.resource import TAGS, TENANT, VALUE_SPECS, NetworkResource

IPV6_MODES = AllowedValues(("dhcpv6-stateful", "dhcpv6-stateless", "slaac"))


class Subnet(NetworkResource):
    """An empty `gateway_ip` or null means no gateway; a missing one the block's first address."""
    name = "OS::Neutron::Subnet"
    description = "A block of addresses on a network, for its ports."
    path, singular = "/v2.0/subnets", "subnet"
    properties = {
        "network": string("The network.", required=True, wire="network_id", refers="neutron.network", older=("network_id",),
                          since="2014.2"),
        "subnetpool": string("The pool to take the block from.", wire="subnetpool_id", refers="neutron.subnetpool", since="6.0.0"),
        "prefixlen": integer("How long the prefix of a block from a pool is.", constraints=(Range(0),), since="6.0.0"),
        "cidr": string("The block."),
        "value_specs": VALUE_SPECS,
        "name": string("Its name.", update=True),
        "ip_version": integer("4 or 6.", default=4, constraints=(AllowedValues((4, 6)),)),
        "dns_nameservers": list_of(string(), "The name servers that ports learn of.", default=[], update=True),
        "gateway_ip": string("The gateway's address; empty: none. Not given: the first of the block.", update=True),
        "enable_dhcp": boolean("Do ports get their addresses by DHCP?", default=True, update=True),
        "allocation_pools": list_of(map_of({"start": string("The first address.", required=True),
                                            "end": string("The last address.", required=True)}),
                                    "The ranges that addresses are given from.", update=True),
        "tenant_id": TENANT,
        "host_routes": list_of(map_of({"destination": string("The block to reach.", required=True),
                                       "nexthop": string("The address to go by.", required=True)}),
                               "Routes that ports learn of.", update=True),
        "ipv6_ra_mode": string("How routers advertise the block.", constraints=(IPV6_MODES,), since="2015.1"),
        "ipv6_address_mode": string("How ports get their IPv6 addresses.", constraints=(IPV6_MODES,), since="2015.1"),
        "tags": TAGS,
    }
    attributes = {
        "name": Attribute("Its name."),
        "network_id": Attribute("Its network."),
        "tenant_id": Attribute("The project that owns it."),
        "allocation_pools": Attribute("The ranges that addresses are given from.", LIST),
        "gateway_ip": Attribute("The gateway's address."),
        "host_routes": Attribute("Routes that ports learn of.", LIST),
        "ip_version": Attribute("4 or 6."),
        "cidr": Attribute("The block."),
        "dns_nameservers": Attribute("The name servers that ports learn of.", LIST),
        "enable_dhcp": Attribute("Do ports get their addresses by DHCP?"),
        "show": SHOW,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        modes = {properties["ipv6_ra_mode"], properties["ipv6_address_mode"]} - {None}
        if modes and properties["ip_version"] == 4:
            raise PropertyInvalid(path="ipv6_ra_mode", reason="ipv6_ra_mode and ipv6_address_mode are not supported for ipv4.")
        if len(modes) == 2:
            raise PropertyInvalid(path="ipv6_ra_mode", reason="When both ipv6_ra_mode and ipv6_address_mode are set, they must be equal.")

    def body(self, work: Work) -> dict[str, Any]:
        body = super().body(work)
        if body.get("gateway_ip") == "": body["gateway_ip"] = None
        return body

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        body = super().change(work, changes)
        if "gateway_ip" in body: body["gateway_ip"] = body["gateway_ip"] or None
        return {name: value for name, value in body.items() if value is not None or name == "gateway_ip"}
