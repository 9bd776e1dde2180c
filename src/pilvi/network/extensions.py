"""The extensions that are really here: clients branch on this list, so nothing is on it that does not work.

Source: Networking API v2.0, "Extensions"; aliases as in neutron-lib's api/definitions.
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.network import errors

NAMES = {
    "address-scope": "Address scope",
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "external-net": "Neutron external network",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "fip-port-details": "Floating IP Port Details Extension",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "pilvi-explain": "Why a packet gets there or not",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota-check-limit": "Quota engine limit check",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-policies": "RBAC Policies",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute: "
                         "floatingip, network, port, router, security_group, subnet, subnetpool",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet_allocation": "Subnet Allocation",
}
RULES = {"get_extension": Rule("@")}


def _body(alias: str) -> dict[str, Any]:
    name = NAMES[alias]
    return {"alias": alias, "name": name, "description": name, "updated": "2026-01-01T00:00:00-00:00", "links": []}


def list_extensions(call: Call) -> dict[str, Any]:
    """GET /v2.0/extensions"""
    return {"extensions": [_body(alias) for alias in NAMES]}


def show_extension(call: Call, alias: str) -> dict[str, Any]:
    """GET /v2.0/extensions/{alias}. Raises ExtensionNotFound."""
    if alias not in NAMES: raise errors.ExtensionNotFound(id=alias)
    return {"extension": _body(alias)}


ROUTES = [Route("/v2.0/extensions", "GET", list_extensions, "get_extension"),
          Route("/v2.0/extensions/{alias}", "GET", show_extension, "get_extension")]
