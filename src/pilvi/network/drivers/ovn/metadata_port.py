"""The place on a host where 169.254.169.254 of a network is: a namespace with a veth into the integration bridge, bound as the metadata
port.

OVN delivers packets for that port (a localport) on the host they come from, so that every host serves its own guests. """
from __future__ import annotations

import hashlib
from pathlib import Path

from pilvi.network.drivers.interface import Port, Subnet
from pilvi.network.drivers.ovn.bridges import Switch
from pilvi.network.drivers.ovn.commands import run, succeeds
from pilvi.network.drivers.ovn.lookup import METADATA_ADDRESS

NETWORK_ID = "pilvi-network"
"""The key in an interface's external_ids that says whose metadata it carries."""


class MetadataPorts:
    """All metadata ports of one host."""

    def __init__(self, switch: Switch, tag: str) -> None:
        self.switch = switch
        self.tag = tag

    def serve(self, port: Port, subnets: list[Subnet]) -> str:
        """Make the namespace of the port's network and return its path. May be repeated; addresses follow the port's."""
        namespace, outside = self._namespace(port.network_id), self._interface(port.network_id)
        if not _path(namespace).exists(): run(["ip", "netns", "add", namespace])
        inside = ["ip", "-n", namespace]
        if not succeeds([*inside, "link", "show", "eth0"]):
            succeeds(["ip", "link", "delete", outside])
            run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace])
            # The userspace datapath takes a packet as it is: a checksum left to the card's hardware would stay wrong.
            run(["ethtool", "-K", outside, "tx", "off"])
            run(["ip", "netns", "exec", namespace, "ethtool", "-K", "eth0", "tx", "off"])
        run([*inside, "link", "set", "eth0", "address", port.mac])
        wanted = {f"{METADATA_ADDRESS}/32", *self._addresses(port, subnets)}
        there = {line.split()[3] for line in run([*inside, "-o", "address", "show", "dev", "eth0", "scope", "global"]).splitlines()}
        for address in sorted(there - wanted): run([*inside, "address", "delete", address, "dev", "eth0"])
        for address in sorted(wanted - there): run([*inside, "address", "add", address, "dev", "eth0"])
        for interface in ("lo", "eth0"): run([*inside, "link", "set", interface, "up"])
        run(["ip", "link", "set", outside, "up"])
        self.switch.vsctl(
            "--may-exist", "add-port", self.switch.integration, outside, "--", "set", "Interface", outside,
            f"external_ids:iface-id={port.id}", f"external_ids:{NETWORK_ID}={port.network_id}")
        return str(_path(namespace))

    def drop(self, network_id: str) -> None:
        """Remove it; nothing happens when it is gone already."""
        outside, namespace = self._interface(network_id), self._namespace(network_id)
        self.switch.vsctl("--if-exists", "del-port", self.switch.integration, outside)
        succeeds(["ip", "link", "delete", outside])
        if _path(namespace).exists(): run(["ip", "netns", "delete", namespace])

    def remove_all(self) -> None:
        """Remove the namespaces of this cloud, also those that Open vSwitch has forgotten; their interfaces go with them."""
        for path in Path("/run/netns").glob(f"ovnmeta-{self.tag}-*"): run(["ip", "netns", "delete", path.name])

    def networks(self) -> set[str]:
        """The networks that have one here."""
        known = {ids[NETWORK_ID] for ids in self.switch.interfaces().values() if NETWORK_ID in ids}
        return {network_id for network_id in known if _path(self._namespace(network_id)).exists()}

    def _addresses(self, port: Port, subnets: list[Subnet]) -> set[str]:
        prefixes = {subnet.id: subnet.cidr.partition("/")[2] for subnet in subnets}
        return {f"{fixed.ip_address}/{prefixes[fixed.subnet_id]}" for fixed in port.fixed_ips if fixed.subnet_id in prefixes}

    def _namespace(self, network_id: str) -> str:
        return f"ovnmeta-{self.tag}-{network_id[:8]}"

    def _interface(self, network_id: str) -> str:
        # Names of interfaces have at most 15 characters, too few for tag and network.
        return "md" + hashlib.sha256(f"{self.tag} {network_id}".encode()).hexdigest()[:13]


def _path(namespace: str) -> Path:
    return Path("/run/netns") / namespace
