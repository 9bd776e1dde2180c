"""A network without packets, for the simulated cloud: it keeps the topology in memory, and a port is up when it is bound and switched on.

It decides about packets by the same rules as a real network (groups, routes, floating IPs), from the topology instead of from flows.
"""
from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from pilvi.core import clock
from pilvi.network.drivers.interface import NetworkFailure, Port, SecurityGroupRule, Subnet, Topology, Verdict

KINDS = ("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "rules")
PROTOCOLS = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58", "ipv6-icmp": "58", "sctp": "132"}
ANY_PROTOCOL = ("any", "0", "")
ASKED_SECONDS = 60.0
"""A binding that was asked for is committed within milliseconds, or never."""


class Simulated:
    """The control half. Takes a real backend's arguments; writes nothing to the directory."""

    def __init__(self, directory: Path, *, cloud_id: str, listen: str | None = None) -> None:
        self._status_changed: Callable[[str, bool], None] | None = None
        self._lock = threading.RLock()
        self._topology = Topology()
        self._up: dict[str, bool] = {}
        self._asked: dict[str, tuple[str, float]] = {}
        self._asking = threading.Lock()  # of its own: who binds a port has a transaction open and must not wait for a large topology

    def start(self, *, status_changed: Callable[[str, bool], None]) -> None:
        """From now on report ports as they come up or go down."""
        with self._lock:
            self._status_changed = status_changed
            for port_id, up in self._up.items():
                if up: status_changed(port_id, up)

    def apply(self, topology: Topology) -> list[str]:
        """Keep the topology; a line for each thing that is new, changed or gone."""
        with self._lock:
            if self._status_changed is None: raise NetworkFailure("The network backend was not started.")
            before, lines = self._up, []
            if topology != self._topology:
                lines = [line for kind in KINDS for line in _differences(kind, getattr(self._topology, kind), getattr(topology, kind))]
                self._topology = topology
                self._up = {port.id: port.admin_up and (bool(port.host) or _is_routers(port)) for port in topology.ports}
            awaited = self._bound()
            for port_id, up in self._up.items():
                if up != before.get(port_id, False) or (up and port_id in awaited): self._status_changed(port_id, up)
            return lines

    def _bound(self) -> set[str]:
        """Ports that are bound now as `binding` was asked. Who let go of a port and bound it again waits for a word even when no topology
        showed it unbound in between."""
        if not self._asked: return set()
        hosts = {port.id: port.host for port in self._topology.ports if port.host}
        oldest = clock.monotonic() - ASKED_SECONDS
        with self._asking:
            bound = {port_id for port_id, (host, _) in self._asked.items() if hosts.get(port_id) == host}
            self._asked = {port_id: asked for port_id, asked in self._asked.items() if port_id not in bound and asked[1] > oldest}
        return bound

    def up(self) -> dict[str, bool]:
        """Of every port: is it bound and switched on?"""
        return dict(self._up)

    def binding(self, host: str, port_id: str) -> dict[str, Any]:
        """A card that leads nowhere."""
        with self._asking: self._asked[port_id] = host, clock.monotonic()
        return {"vif_type": "simulated", "vif_details": {"port_filter": True}}

    def explain(self, source: Port, destination: str, protocol: str, port: int | None) -> Verdict:
        """Would a packet from this port to that address get there?"""
        return _Packet(self._topology, source, destination, protocol, port).verdict()

    def facts(self) -> dict[str, Any]:
        """What the host half is given."""
        return {"driver": "simulated"}

    def health(self) -> str | None:
        """None when started."""
        return None if self._status_changed else "The network backend was not started."

    def stop(self) -> None:
        """Report nothing more."""
        self._status_changed = None

    def close(self) -> None:
        """Nothing is held."""


class SimulatedHost:
    """The host half: remembers which networks have metadata."""

    def __init__(self, directory: Path, *, host: str, external_cidr: str | None, external_gateway: str | None, tag: str,
                 tunnel_ip: str | None = None) -> None:
        self._metadata: set[str] = set()
        self._started = False

    def start(self, facts: dict[str, Any]) -> None:
        """Nothing but health depends on it."""
        self._started = True

    def serve_metadata(self, port: Port, subnets: list[Subnet]) -> str:
        """Remember it; there is no namespace, since no packets flow."""
        self._metadata.add(port.network_id)
        return ""

    def drop_metadata(self, network_id: str) -> None:
        """Forget it."""
        self._metadata.discard(network_id)

    def metadata_networks(self) -> set[str]:
        """Networks for which it exists on this host."""
        return set(self._metadata)

    def health(self) -> str | None:
        """None when started."""
        return None if self._started else "The host's network was not started."

    def stop(self) -> None:
        """Forget everything."""
        self._metadata.clear()
        self._started = False

    def close(self) -> None:
        """Nothing is held."""


def _differences(kind: str, before: Iterable[Any], after: Iterable[Any]) -> Iterable[str]:
    old, new = {thing.id: thing for thing in before}, {thing.id: thing for thing in after}
    name = kind.removesuffix("s").replace("_", " ")
    for key, thing in new.items():
        if key not in old: yield f"create {name} {key}"
        elif old[key] != thing: yield f"change {name} {key}"
    for key in old:
        if key not in new: yield f"delete {name} {key}"


class _Packet(Struct, frozen=True):
    topology: Topology
    source: Port
    destination: str
    protocol: str
    port: int | None

    def verdict(self) -> Verdict:
        try:
            address = ipaddress.ip_address(self.destination)
        except ValueError:
            return Verdict(passes=False, reason=f"'{self.destination}' is not an IP address.")
        sources = [fixed for fixed in self.source.fixed_ips if ipaddress.ip_address(fixed.ip_address).version == address.version]
        if not sources: return Verdict(passes=False, reason=f"Port {self.source.id} has no IPv{address.version} address to send from.")
        floating = next((ip for ip in self.topology.floating_ips if ip.floating_ip_address == self.destination), None)
        inside = floating.fixed_ip_address if floating else self.destination
        target = next((port for port in self.topology.ports if any(fixed.ip_address == inside for fixed in port.fixed_ips)
                       and self._reaches(port, routed=bool(floating))), None)
        if target is None and self._is_local(address): return Verdict(passes=False, reason=f"No port has the address {self.destination}.")
        if target is None and not self._leaves(): return Verdict(passes=False, reason=f"No router has a route to {self.destination}.")
        return self._filtered(sources[0].ip_address, inside, target)

    def _filtered(self, source_ip: str, destination_ip: str, target: Port | None) -> Verdict:
        refusal = "No {} rule of the security groups of port {} lets {} pass."
        out = self._rule(self.source, "egress", destination_ip) if _is_filtered(self.source) else None
        if out is None and _is_filtered(self.source):
            return Verdict(passes=False, reason=refusal.format("egress", self.source.id, self.protocol))
        into = self._rule(target, "ingress", source_ip) if target and _is_filtered(target) else None
        if target and into is None and _is_filtered(target):
            return Verdict(passes=False, reason=refusal.format("ingress", target.id, self.protocol))
        rule_id = into or out
        if target and not target.host and not target.device_owner.startswith("network:"):
            return Verdict(passes=False, reason=f"It would reach port {target.id}, but no host serves that port now.", rule_id=rule_id)
        where = f"port {target.id}" if target else "the outside"
        why = f"security group rule {rule_id} lets it pass" if rule_id else "no security group stands in its way"
        return Verdict(passes=True, reason=f"It reaches {where}: {why}.", rule_id=rule_id)

    def _networks_of_router(self) -> tuple[set[str], bool]:
        """The networks that the routers of the source's network join, and whether one of them has a gateway to the outside."""
        own = [port for port in self.topology.ports if _is_routers(port)]
        routers = {port.device_id for port in own if port.network_id == self.source.network_id}
        ports = [port for port in own if port.device_id in routers]
        return {port.network_id for port in ports}, any(port.device_owner == "network:router_gateway" for port in ports)

    def _reaches(self, port: Port, *, routed: bool) -> bool:
        return port.network_id == self.source.network_id or routed or port.network_id in self._networks_of_router()[0]

    def _is_local(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        inner = {network.id for network in self.topology.networks if not network.physical_network}
        near = (self._networks_of_router()[0] | {self.source.network_id}) & inner
        return any(address in ipaddress.ip_network(subnet.cidr) for subnet in self.topology.subnets if subnet.network_id in near)

    def _leaves(self) -> bool:
        return self._networks_of_router()[1]

    def _rule(self, port: Port, direction: str, remote_ip: str) -> str | None:
        for rule in self.topology.rules:
            if rule.direction != direction or rule.security_group_id not in port.security_group_ids: continue
            if self._matches(rule, remote_ip): return rule.id
        return None

    def _matches(self, rule: SecurityGroupRule, remote_ip: str) -> bool:
        remote = ipaddress.ip_address(remote_ip)
        if (rule.ethertype == "IPv6") != (remote.version == 6): return False
        if rule.remote_cidr and remote not in ipaddress.ip_network(rule.remote_cidr, strict=False): return False
        if rule.remote_group_id and not any(
                fixed.ip_address == remote_ip for port in self.topology.ports if rule.remote_group_id in port.security_group_ids
                for fixed in port.fixed_ips): return False
        if rule.protocol is None or rule.protocol in ANY_PROTOCOL: return True
        if _number(rule.protocol, remote.version) != _number(self.protocol, remote.version): return False
        if rule.port_min is None: return True
        if _number(self.protocol, remote.version) in ("1", "58"):
            return rule.port_min == (self.port if self.port is not None else (8 if remote.version == 4 else 128))
        return rule.port_min <= (self.port or 0) <= (rule.port_max if rule.port_max is not None else rule.port_min)


def _is_routers(port: Port) -> bool:
    return port.device_owner.startswith("network:router_")


def _is_filtered(port: Port) -> bool:
    return port.port_security and not port.device_owner.startswith("network:")


def _number(protocol: str, version: int) -> str:
    number = PROTOCOLS.get(protocol.lower(), protocol)
    return "58" if number == "1" and version == 6 else number
