"""network_data.json: how a server's cards are to be set up. A real cloud-init believes it and sets up nothing that it does not name.

Pure. Source: nova documentation, "Metadata", and its `network_data.json` schema.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

Nic = Mapping[str, Any]
"""{port_id, network_id, mac, mtu, fixed_ips: [{ip_address, version, subnet}]}; `subnet` as the network API shows it, or absent."""
_SIX = {"slaac": "ipv6_slaac", "dhcpv6-stateful": "ipv6_dhcpv6-stateful", "dhcpv6-stateless": "ipv6_dhcpv6-stateless"}


def document(nics: Sequence[Nic]) -> dict[str, Any]:
    """Links, one for each card; networks, one for each address; and the name servers of those that no DHCP tells of them."""
    links = [{"id": _link(nic), "vif_id": nic["port_id"], "type": "ovs", "mtu": nic.get("mtu"), "ethernet_mac_address": nic["mac"]}
             for nic in nics]
    networks: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for nic in nics:
        for fixed in nic["fixed_ips"]:
            entry = _network(nic, fixed)
            entry["id"] = f"network{len(networks)}"
            networks.append(entry)
            services += [service for service in entry.get("services", []) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _link(nic: Nic) -> str:
    return f"tap{nic['port_id'][:11]}"


def _network(nic: Nic, fixed: Mapping[str, Any]) -> dict[str, Any]:
    subnet = fixed.get("subnet") or {}
    found = {"link": _link(nic), "network_id": nic["network_id"]}
    if fixed["version"] == 4 and subnet.get("enable_dhcp", True): return {**found, "type": "ipv4_dhcp"}
    mode = subnet.get("ipv6_address_mode")
    if mode in _SIX: return {**found, "type": _SIX[mode]}
    if "cidr" not in subnet: return {**found, "type": "ipv6_dhcp"}
    interface = ip_interface(f"{fixed['ip_address']}/{subnet['cidr'].partition('/')[2]}")
    everything = ip_network("0.0.0.0/0" if fixed["version"] == 4 else "::/0")
    gateway = [(everything, subnet["gateway_ip"])] if subnet.get("gateway_ip") else []
    more = [(ip_network(route["destination"]), route["nexthop"]) for route in subnet.get("host_routes") or []]
    return {
        **found, "type": f"ipv{fixed['version']}", "ip_address": fixed["ip_address"], "netmask": str(interface.netmask),
        "routes": [{"network": str(net.network_address), "netmask": str(net.netmask), "gateway": hop} for net, hop in [*gateway, *more]],
        "services": [{"type": "dns", "address": address} for address in subnet.get("dns_nameservers") or []]}
