"""Logical_Router rows with their ports, routes and address translation.

Source: ovn-nb(5), "Logical_Router", "NAT". Address translation happens on the host where the gateway port is; with several hosts OVN moves
it to the next one when that host is silent. """
from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from pilvi.network.drivers.interface import Port, Router
from pilvi.network.drivers.ovn.lookup import ROUTER_GATEWAY, Lookup, version_of
from pilvi.network.drivers.ovn.rows import Row, Rows, Value
from pilvi.network.drivers.ovn.switches import router_port_name

NEIGHBOUR_SECONDS = 300
"""How long a router believes a MAC address it learned; without a limit one that changed on the outside would black-hole traffic for
ever."""

MAX_GATEWAY_HOSTS = 5

RA_MODES = {"slaac": "slaac", "dhcpv6-stateful": "dhcpv6_stateful", "dhcpv6-stateless": "dhcpv6_stateless"}


def rows(lookup: Lookup, gateways: Mapping[str, Sequence[str]]) -> Rows:
    """The rows of all routers; `gateways` names the hosts that reach each physical network."""
    found: Rows = {}
    for router in lookup.topology.routers:
        ports = lookup.router_ports[router.id]
        gateway = next((port for port in ports if port.device_owner == ROUTER_GATEWAY), None)
        routes = _routes(lookup, router, gateway)
        nats = _translations(lookup, router, ports, gateway)
        for port in ports: found |= _router_port(lookup, port, gateways)
        found |= routes | nats
        columns = {"ports": [port.id for port in ports], "static_routes": [key for _, key in routes], "nat": [key for _, key in nats]}
        references = {column: frozenset(keys) for column, keys in columns.items() if keys}
        found["Logical_Router", router.id] = Row({
            "name": router.id, "enabled": (router.admin_up,), "external_ids": lookup.mark(router.id, router.name),
            # A router learns neighbours when it asks for them, not from whatever is said on its networks.
            "options": {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true",
                        "mac_binding_age_threshold": str(NEIGHBOUR_SECONDS)}}, references)
    return found


def gateway_hosts(router_id: str, hosts: Sequence[str]) -> list[str]:
    """The hosts for a router's gateway, the best first: another order for each router, which stays when a host comes or goes."""
    return sorted(hosts, key=lambda host: hashlib.sha256(f"{router_id} {host}".encode()).digest())[:MAX_GATEWAY_HOSTS]


def _router_port(lookup: Lookup, port: Port, gateways: Mapping[str, Sequence[str]]) -> Rows:
    found: Rows = {}
    network = lookup.networks[port.network_id]
    if port.device_owner == ROUTER_GATEWAY:
        hosts = gateway_hosts(port.device_id, gateways.get(network.physical_network or "", ()))
        for place, host in enumerate(hosts):
            key = f"{port.id}/{host}"
            found["Gateway_Chassis", key] = Row({
                "name": f"{router_port_name(port)}_{host}", "chassis_name": host, "priority": len(hosts) - place,
                "external_ids": lookup.mark(key)})
    values: dict[str, Value] = {
        "name": router_port_name(port), "mac": port.mac, "enabled": (port.admin_up,),
        "networks": tuple(sorted(filter(None, map(lookup.with_prefix, port.fixed_ips)))),
        "ipv6_ra_configs": _advertisement(lookup, port, network.mtu), "external_ids": lookup.mark(port.id, port.name)}
    references = {"gateway_chassis": frozenset(key for _, key in found)} if found else {}
    return {**found, ("Logical_Router_Port", port.id): Row(values, references)}


def _advertisement(lookup: Lookup, port: Port, mtu: int) -> dict[str, str]:
    subnet = lookup.subnet_of(port, 6)
    if subnet is None or subnet.ipv6_mode not in RA_MODES: return {}
    return {"address_mode": RA_MODES[subnet.ipv6_mode], "send_periodic": "true", "mtu": str(mtu)}


def _routes(lookup: Lookup, router: Router, gateway: Port | None) -> Rows:
    found: Rows = {}
    for cidr, hop in router.routes: found |= _route(lookup, router, cidr, hop, ())
    if gateway:
        for fixed in gateway.fixed_ips:
            subnet = lookup.subnets.get(fixed.subnet_id)
            if subnet and subnet.gateway_ip:
                everything = "0.0.0.0/0" if version_of(subnet.cidr) == 4 else "::/0"
                found |= _route(lookup, router, everything, subnet.gateway_ip, (router_port_name(gateway),))
    return found


def _route(lookup: Lookup, router: Router, cidr: str, hop: str, port: tuple[str, ...]) -> Rows:
    key = f"{router.id}/{cidr}/{hop}"
    return {("Logical_Router_Static_Route", key): Row({
        "ip_prefix": cidr, "nexthop": hop, "output_port": port, "external_ids": lookup.mark(key)})}


def _translations(lookup: Lookup, router: Router, ports: Sequence[Port], gateway: Port | None) -> Rows:
    outside = next((fixed.ip_address for fixed in gateway.fixed_ips if ":" not in fixed.ip_address), None) if gateway else None
    found: Rows = {}
    if outside is None: return found
    if router.snat:
        for port in ports:
            for fixed in port.fixed_ips:
                subnet = lookup.subnets.get(fixed.subnet_id)
                if port is gateway or subnet is None or version_of(subnet.cidr) != 4: continue
                key = f"{router.id}/{subnet.cidr}"
                found["NAT", key] = _nat(lookup, key, "snat", outside, subnet.cidr)
    for floating in lookup.topology.floating_ips:
        if floating.router_id == router.id:
            found["NAT", floating.id] = _nat(lookup, floating.id, "dnat_and_snat", floating.floating_ip_address, floating.fixed_ip_address)
    return found


def _nat(lookup: Lookup, key: str, kind: str, outside: str, inside: str) -> Row:
    return Row({"type": kind, "external_ip": outside, "logical_ip": inside, "external_ids": lookup.mark(key)})
