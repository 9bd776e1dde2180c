"""OS::Neutron::SubnetPool and AddressScope: where subnets' blocks come from, and within which routers may mix them."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues, Length, Range
from pilvi.orchestration.types.interface import SHOW, PropertyInvalid, Work, boolean, integer, list_of, string
from pilvi.orchestration.types.neutron.resource import TAGS, TENANT, NetworkResource

PREFIX = (Range(0),)


class SubnetPool(NetworkResource):
    """Prefixes can be added to a pool, not taken away."""
    name = "OS::Neutron::SubnetPool"
    description = "Blocks of addresses that subnets are cut from."
    since = "6.0.0"
    path, singular = "/v2.0/subnetpools", "subnetpool"
    properties = {
        "name": string("Its name.", update=True),
        "prefixes": list_of(string(), "The blocks.", required=True, update=True, constraints=(Length(1),)),
        "address_scope": string("The address scope it belongs to.", update=True, wire="address_scope_id", refers="neutron.address_scope"),
        "default_quota": integer("How much one project may take: in addresses for IPv4, in /64 for IPv6.", update=True, constraints=PREFIX),
        "default_prefixlen": integer("How long a subnet's prefix is unless it says.", update=True, constraints=PREFIX),
        "min_prefixlen": integer("The shortest prefix of a subnet.", update=True, constraints=PREFIX),
        "max_prefixlen": integer("The longest prefix of a subnet.", update=True, constraints=PREFIX),
        "is_default": boolean("Is it taken when a subnet names none?", default=False, update=True),
        "tenant_id": TENANT,
        "shared": boolean("May all projects use it?", default=False),
        "tags": TAGS,
    }
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        low, usual, high = (properties[name] for name in ("min_prefixlen", "default_prefixlen", "max_prefixlen"))
        if low is not None and high is not None and low > high:
            raise PropertyInvalid(path="min_prefixlen", reason=f"Illegal prefix bounds: max_prefixlen={high}, min_prefixlen={low}.")
        if usual is not None and not (low or 0) <= usual <= (high if high is not None else 128):
            raise PropertyInvalid(path="default_prefixlen", reason=f"Illegal prefix bounds: default_prefixlen={usual}.")

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super().change(work, changes).items() if value is not None or name == "address_scope_id"}


class AddressScope(NetworkResource):
    """Addresses within one scope do not overlap."""
    name = "OS::Neutron::AddressScope"
    description = "Subnet pools whose addresses do not overlap."
    since = "6.0.0"
    path, singular = "/v2.0/address-scopes", "address_scope"
    properties = {
        "name": string("Its name.", update=True),
        "shared": boolean("May all projects use it?", default=False, update=True),
        "tenant_id": string("The project that is to own it, for administrators.", refers="keystone.project"),
        "ip_version": integer("4 or 6.", default=4, constraints=(AllowedValues((4, 6)),)),
    }
    attributes = {"show": SHOW}
