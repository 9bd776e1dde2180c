"""A topology with its things findable by id, and the few facts about ports that several kinds of rows need."""
from __future__ import annotations

import ipaddress
from collections import defaultdict

from pilvi.network.drivers.interface import FixedIp, Port, Router, Subnet, Topology
from pilvi.network.drivers.ovn.rows import CLOUD, KEY

ROUTER_GATEWAY = "network:router_gateway"
ROUTER_OWNERS = frozenset({
    "network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface", ROUTER_GATEWAY})
METADATA_OWNER = "network:distributed"
FLOATING_IP_OWNER = "network:floatingip"
METADATA_ADDRESS = "169.254.169.254"


class Lookup:
    """Built once for each comparison; reads the topology, changes nothing."""

    def __init__(self, topology: Topology, cloud_id: str) -> None:
        self.topology = topology
        self.cloud_id = cloud_id
        self.networks = {network.id: network for network in topology.networks}
        self.subnets = {subnet.id: subnet for subnet in topology.subnets}
        self.routers = {router.id: router for router in topology.routers}
        self.ports = {port.id: port for port in topology.ports if port.network_id in self.networks}
        self.ports_by_network: dict[str, list[Port]] = defaultdict(list)
        self.router_ports: dict[str, list[Port]] = defaultdict(list)
        self.metadata_address: dict[str, str] = {}
        """By subnet: the address of its network's metadata port there."""
        for port in self.ports.values():
            # The port behind a floating IP reserves its address and nothing more: a switch port would answer ARP for it, with the wrong
            # MAC.
            if port.device_owner == FLOATING_IP_OWNER: continue
            self.ports_by_network[port.network_id].append(port)
            if port.device_owner == METADATA_OWNER:
                self.metadata_address.update({fixed.subnet_id: fixed.ip_address for fixed in port.fixed_ips})
            elif self.router_of(port):
                self.router_ports[port.device_id].append(port)

    def router_of(self, port: Port) -> Router | None:
        """The router that this port is an interface or the gateway of."""
        return self.routers.get(port.device_id) if port.device_owner in ROUTER_OWNERS and port.fixed_ips else None

    def subnet_of(self, port: Port, version: int) -> Subnet | None:
        """The subnet of the port's first address of that IP version."""
        for fixed in port.fixed_ips:
            if (":" in fixed.ip_address) == (version == 6) and fixed.subnet_id in self.subnets: return self.subnets[fixed.subnet_id]
        return None

    def with_prefix(self, fixed: FixedIp) -> str | None:
        """10.0.0.5/24, or None when the subnet is not in the topology."""
        subnet = self.subnets.get(fixed.subnet_id)
        return f"{fixed.ip_address}/{subnet.cidr.partition('/')[2]}" if subnet else None

    def mark(self, key: str, name: str = "") -> dict[str, str]:
        """The external_ids of a row of ours; the name is for people who look into the database."""
        ids = {CLOUD: self.cloud_id, KEY: key}
        return ids | {"pilvi:name": name} if name else ids


def is_filtered(port: Port) -> bool:
    """Whether security groups and anti-spoofing apply to the port: not to those of the network itself."""
    return port.port_security and not port.device_owner.startswith("network:")


def version_of(cidr: str) -> int:
    return ipaddress.ip_network(cidr, strict=False).version
