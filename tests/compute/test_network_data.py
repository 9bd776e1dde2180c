"""network_data.json: what cloud-init gets to know of each kind of address."""
from __future__ import annotations

from typing import Any

from pilvi.compute.network_data import document

FOUR = {"cidr": "10.0.0.0/24", "enable_dhcp": True, "gateway_ip": "10.0.0.1", "dns_nameservers": ["9.9.9.9"], "host_routes": [],
        "ipv6_address_mode": None}
SIX = {**FOUR, "cidr": "fd00::/64", "gateway_ip": "fd00::1", "dns_nameservers": []}


def nic(*fixed: tuple[str, dict[str, Any] | None], port: str = "0123456789abcdef", mac: str = "fa:16:3e:00:00:01") -> dict[str, Any]:
    return {"port_id": port, "network_id": "n1", "network_name": "net", "mac": mac, "mtu": 1442, "fixed_ips": [
        {"ip_address": address, "version": 6 if ":" in address else 4, "subnet": subnet} for address, subnet in fixed]}


def test_dhcp() -> None:
    assert document([nic(("10.0.0.5", FOUR))]) == {
        "links": [{"id": "tap0123456789a", "vif_id": "0123456789abcdef", "type": "ovs", "mtu": 1442,
                   "ethernet_mac_address": "fa:16:3e:00:00:01"}],
        "networks": [{"id": "network0", "link": "tap0123456789a", "network_id": "n1", "type": "ipv4_dhcp"}], "services": []}


def test_without_dhcp_all_is_told() -> None:
    subnet = {**FOUR, "enable_dhcp": False, "host_routes": [{"destination": "192.0.2.0/25", "nexthop": "10.0.0.9"}]}
    found = document([nic(("10.0.0.5", subnet))])
    network = found["networks"][0]
    assert (network["type"], network["ip_address"], network["netmask"]) == ("ipv4", "10.0.0.5", "255.255.255.0")
    assert network["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
                                 {"network": "192.0.2.0", "netmask": "255.255.255.128", "gateway": "10.0.0.9"}]
    assert found["services"] == [{"type": "dns", "address": "9.9.9.9"}]


def test_no_gateway_no_route() -> None:
    assert document([nic(("10.0.0.5", {**FOUR, "enable_dhcp": False, "gateway_ip": None}))])["networks"][0]["routes"] == []


def test_six() -> None:
    kinds = {mode: document([nic(("fd00::5", {**SIX, "ipv6_address_mode": mode}))])["networks"][0]["type"]
             for mode in ("slaac", "dhcpv6-stateful", "dhcpv6-stateless", None)}
    assert kinds == {"slaac": "ipv6_slaac", "dhcpv6-stateful": "ipv6_dhcpv6-stateful", "dhcpv6-stateless": "ipv6_dhcpv6-stateless",
                     None: "ipv6"}
    static = document([nic(("fd00::5", SIX))])["networks"][0]
    assert static["netmask"] == "ffff:ffff:ffff:ffff::" and static["routes"][0] == {"network": "::", "netmask": "::", "gateway": "fd00::1"}


def test_two_cards_two_addresses() -> None:
    found = document([nic(("10.0.0.5", FOUR), ("fd00::5", SIX)), nic(("10.0.0.6", None), port="fedcba9876543210", mac="x")])
    assert [(n["id"], n["link"], n["type"]) for n in found["networks"]] == [
        ("network0", "tap0123456789a", "ipv4_dhcp"), ("network1", "tap0123456789a", "ipv6"), ("network2", "tapfedcba98765", "ipv4_dhcp")]
    assert len(found["links"]) == 2
