"""DHCP_Options rows: one for each subnet with DHCP, and one of its own for each port that asks for further options.

Source: ovn-nb(5), "DHCP_Options"; RFC 3442 (classless static routes: a client that gets them ignores the router option).
"""
from __future__ import annotations

import hashlib
import ipaddress

from pilvi.network.drivers.interface import Network, Port, Subnet
from pilvi.network.drivers.ovn.lookup import METADATA_ADDRESS, Lookup, version_of
from pilvi.network.drivers.ovn.rows import Row, Rows

LEASE_SECONDS = 43200

OPTION_NAMES = {
    "mtu": "mtu", "26": "mtu", "router": "router", "3": "router", "netmask": "netmask", "dns-server": "dns_server", "6": "dns_server",
    "ntp-server": "ntp_server", "42": "ntp_server", "domain-name": "domain_name", "15": "domain_name",
    "hostname": "hostname", "12": "hostname", "tftp-server": "tftp_server", "66": "tftp_server",
    "server-ip-address": "tftp_server_address", "150": "tftp_server_address",
    "bootfile-name": "bootfile_name", "67": "bootfile_name", "lease-time": "lease_time", "51": "lease_time", "T1": "T1", "T2": "T2",
    "domain-search": "domain_search_list", "119": "domain_search_list", "classless-static-route": "classless_static_route",
    "121": "classless_static_route",
}
"""neutron's and dnsmasq's names and numbers of options, in OVN's words. What OVN cannot send is left out."""

TEXT_OPTIONS = frozenset({"domain_name", "hostname", "tftp_server", "bootfile_name", "domain_search_list"})
"""OVN wants these in double quotes inside the value."""


def rows(lookup: Lookup) -> Rows:
    """The rows of all subnets and of the ports with options of their own."""
    found: Rows = {}
    for subnet in lookup.topology.subnets:
        if subnet.network_id not in lookup.networks or not is_served(subnet): continue
        found["DHCP_Options", subnet.id] = _row(lookup, subnet, subnet.id, {})
    for port in lookup.ports.values():
        if not port.dhcp_options: continue
        for version in (4, 6):
            if key := options_key(lookup, port, version):
                own = lookup.subnet_of(port, version)
                assert own is not None
                found["DHCP_Options", key] = _row(lookup, own, key, port.dhcp_options)
    return found


def is_served(subnet: Subnet) -> bool:
    """Whether DHCP answers on this subnet; with SLAAC alone nothing asks."""
    return subnet.dhcp and (version_of(subnet.cidr) == 4 or subnet.ipv6_mode in ("dhcpv6-stateful", "dhcpv6-stateless"))


def options_key(lookup: Lookup, port: Port, version: int) -> str | None:
    """Which DHCP_Options row answers this port; None: none."""
    subnet = lookup.subnet_of(port, version)
    if subnet is None or not is_served(subnet): return None
    return f"{port.id}/{version}" if port.dhcp_options else subnet.id


def _row(lookup: Lookup, subnet: Subnet, key: str, further: dict[str, str]) -> Row:
    network = lookup.networks[subnet.network_id]
    options = _version4(lookup, subnet, network) if version_of(subnet.cidr) == 4 else _version6(subnet)
    for name, value in further.items():
        word = OPTION_NAMES.get(name)
        if word: options[word] = f'"{value}"' if word in TEXT_OPTIONS else value
    return Row({"cidr": subnet.cidr, "options": options, "external_ids": lookup.mark(key)})


def server_mac(subnet_id: str) -> str:
    """The MAC address that OVN's DHCP server answers from: stable, so that clients may renew after anything."""
    digest = hashlib.sha256(subnet_id.encode()).digest()
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def _version4(lookup: Lookup, subnet: Subnet, network: Network) -> dict[str, str]:
    metadata = lookup.metadata_address.get(subnet.id)
    server = subnet.gateway_ip or metadata or str(next(ipaddress.ip_network(subnet.cidr).hosts()))
    options = {"server_id": server, "server_mac": server_mac(subnet.id), "lease_time": str(LEASE_SECONDS), "mtu": str(network.mtu)}
    routes = [(f"{METADATA_ADDRESS}/32", metadata)] if metadata else []
    routes += subnet.host_routes
    if subnet.gateway_ip:
        options["router"] = subnet.gateway_ip
        if routes: routes.append(("0.0.0.0/0", subnet.gateway_ip))
    if routes: options["classless_static_route"] = "{" + ", ".join(f"{cidr},{hop}" for cidr, hop in routes) + "}"
    if servers := [server for server in subnet.dns_servers if ":" not in server]: options["dns_server"] = "{" + ", ".join(servers) + "}"
    return options


def _version6(subnet: Subnet) -> dict[str, str]:
    options = {"server_id": server_mac(subnet.id)}
    if subnet.ipv6_mode == "dhcpv6-stateless": options["dhcpv6_stateless"] = "true"
    if servers := [server for server in subnet.dns_servers if ":" in server]: options["dns_server"] = "{" + ", ".join(servers) + "}"
    return options
