"""Logical_Switch and Logical_Switch_Port rows: a switch for each network, a switch port for each port.

Source: ovn-nb(5), "Logical_Switch_Port". A switch port's name is the port's id: it is what a hypervisor writes as iface-id.
"""
from __future__ import annotations

from collections import defaultdict

from pilvi.network.drivers.interface import Network, Port
from pilvi.network.drivers.ovn.dhcp import options_key
from pilvi.network.drivers.ovn.lookup import METADATA_OWNER, ROUTER_GATEWAY, Lookup, is_filtered
from pilvi.network.drivers.ovn.rows import Row, Rows, Value


def rows(lookup: Lookup) -> Rows:
    """The rows of all networks and ports."""
    found: Rows = {}
    for network in lookup.networks.values():
        keys = {port.id for port in lookup.ports_by_network[network.id]}
        for port in lookup.ports_by_network[network.id]:
            found["Logical_Switch_Port", port.id] = _port(lookup, network, port)
        if network.physical_network:
            keys.add(localnet_key(network))
            found["Logical_Switch_Port", localnet_key(network)] = _localnet(lookup, network)
        found["Logical_Switch", network.id] = Row(
            {"name": network.id, "other_config": {"mcast_snoop": "false"}, "external_ids": lookup.mark(network.id, network.name)},
            {"ports": frozenset(keys)} if keys else {})
    return found


def localnet_key(network: Network) -> str:
    """The switch port by which a provider network goes out."""
    return f"localnet-{network.id}"


def router_port_name(port: Port) -> str:
    """The router's end of a port that joins a switch to a router."""
    return f"lrp-{port.id}"


def _localnet(lookup: Lookup, network: Network) -> Row:
    key = localnet_key(network)
    return Row({
        "name": key, "type": "localnet", "options": {"network_name": network.physical_network or ""},
        "tag": (network.vlan,) if network.vlan else (), "addresses": ("unknown",), "port_security": (), "enabled": (True,),
        "external_ids": lookup.mark(key)})


def _port(lookup: Lookup, network: Network, port: Port) -> Row:
    kind, options, references = "", {}, {}
    addresses = _addresses(port)
    if lookup.router_of(port):
        kind, addresses = "router", ("router",)
        options = {"router-port": router_port_name(port)}
        # The router announces its addresses and the floating ones on the outside when they move to another host.
        if port.device_owner == ROUTER_GATEWAY: options |= {"nat-addresses": "router", "exclude-lb-vips-from-garp": "true"}
    elif port.device_owner == METADATA_OWNER:
        kind = "localport"
    else:
        if port.host: options = {"requested-chassis": port.host}
        for version, column in ((4, "dhcpv4_options"), (6, "dhcpv6_options")):
            if key := options_key(lookup, port, version): references[column] = frozenset({key})
    values: dict[str, Value] = {
        "name": port.id, "type": kind, "options": options, "tag": (), "addresses": addresses,
        "port_security": _port_security(port) if is_filtered(port) else (), "enabled": (port.admin_up and network.admin_up,),
        "external_ids": lookup.mark(port.id, port.name)}
    return Row(values, references)


def _addresses(port: Port) -> tuple[str, ...]:
    """What the switch sends to this port: its own addresses, the MACs of its address pairs, and with filtering off all that is unknown."""
    found = {" ".join([port.mac, *(fixed.ip_address for fixed in port.fixed_ips)])}
    if is_filtered(port):
        found |= {mac for _, mac in port.allowed_address_pairs if mac.lower() != port.mac.lower()}
    elif not port.device_owner.startswith("network:"):
        found.add("unknown")
    return tuple(sorted(found))


def _port_security(port: Port) -> tuple[str, ...]:
    """What the port may send from: one entry for each MAC, with its addresses."""
    by_mac: dict[str, list[str]] = defaultdict(list)
    by_mac[port.mac.lower()] = [fixed.ip_address for fixed in port.fixed_ips]
    for address, mac in port.allowed_address_pairs:
        if address not in by_mac[mac.lower()]: by_mac[mac.lower()].append(address)
    return tuple(sorted(" ".join([mac, *addresses]) for mac, addresses in by_mac.items()))
