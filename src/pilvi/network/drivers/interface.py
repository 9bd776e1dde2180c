"""What network asks of a backend: make reality equal a topology, say what is up, explain a packet.

A backend has two halves. The control half (`Backend`) runs in the control process without privileges and is given the whole desired
topology as plain values; the host half (`HostBackend`) runs in the host agent as root. Every backend passes
tests/contract/test_network_driver.py. """
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct


class FixedIp(Struct, frozen=True, order=True):
    subnet_id: str
    ip_address: str


class Network(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    mtu: int
    admin_up: bool = True
    port_security: bool = True
    physical_network: str | None = None
    """Set on an external (provider) network: the bridge mapping it goes out by."""
    vlan: int | None = None


class Subnet(Struct, frozen=True, kw_only=True):
    id: str
    network_id: str
    cidr: str
    gateway_ip: str | None
    dhcp: bool
    dns_servers: list[str] = []
    host_routes: list[tuple[str, str]] = []
    """(destination cidr, next hop)"""
    ipv6_mode: str | None = None
    """None, slaac, dhcpv6-stateful or dhcpv6-stateless."""


class Port(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    network_id: str
    mac: str
    fixed_ips: list[FixedIp]
    device_owner: str
    device_id: str
    admin_up: bool = True
    port_security: bool = True
    security_group_ids: list[str] = []
    allowed_address_pairs: list[tuple[str, str]] = []
    """(ip or cidr, mac)"""
    host: str = ""
    """The chassis it is bound to; empty: unbound."""
    dhcp_options: dict[str, str] = {}


class SecurityGroupRule(Struct, frozen=True, kw_only=True):
    id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    """For icmp: the type; port_max is then the code."""
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group_id: str | None = None


class SecurityGroup(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    stateful: bool = True


class Router(Struct, frozen=True, kw_only=True):
    """Interfaces are the ports with device_id == id; the gateway port has device_owner network:router_gateway."""
    id: str
    name: str
    admin_up: bool = True
    snat: bool = True
    routes: list[tuple[str, str]] = []
    """(destination cidr, next hop)"""


class FloatingIp(Struct, frozen=True, kw_only=True):
    """Only associated ones."""
    id: str
    floating_ip_address: str
    fixed_ip_address: str
    port_id: str
    router_id: str


class Topology(Struct, frozen=True, kw_only=True):
    """All that should exist."""
    networks: list[Network] = []
    subnets: list[Subnet] = []
    ports: list[Port] = []
    routers: list[Router] = []
    floating_ips: list[FloatingIp] = []
    security_groups: list[SecurityGroup] = []
    rules: list[SecurityGroupRule] = []


class Verdict(Struct, frozen=True, kw_only=True):
    """What happens to a packet."""
    passes: bool
    reason: str
    """A sentence: the rule (id) or route that decided."""
    rule_id: str | None = None
    trace: str = ""


class NetworkFailure(Exception):
    """The backend refused or could not be reached; the text is shown to administrators."""


class Backend(Protocol):
    """The control half."""

    def start(self, *, status_changed: Callable[[str, bool], None]) -> None:
        """Start or adopt the backend's daemons; from now on report ports as they come up or go down (port id, up), from any thread,
        beginning with those that are up already. May be repeated, and repairs what health() complains of. `status_changed` must be quick
        and must not call the backend."""

    def apply(self, topology: Topology) -> list[str]:
        """Make the backend equal the topology and say what was done, a line each (empty: nothing to do). Rows of others stay untouched.
        Routers' gateways are placed on the hosts that have joined and reach the physical network, so that the same topology may need work
        when a host has joined: repeat it now and then. Raises NetworkFailure and may be repeated."""

    def up(self) -> dict[str, bool]:
        """Of every port the backend knows: does its host serve it?"""

    def binding(self, host: str, port_id: str) -> dict[str, Any]:
        """{"vif_type": …, "vif_details": {…}} for a port on that host: all that a hypervisor needs to plug it. The backend knows the host's
        side because the host told when it joined; NetworkFailure when that host has not joined."""

    def explain(self, source: Port, destination: str, protocol: str, port: int | None) -> Verdict:
        """Would a packet from this port to that address get there?"""

    def facts(self) -> dict[str, Any]:
        """What an agent must know to join: addresses of the databases, tunnel type, physical networks."""

    def health(self) -> str | None:
        """None when well, else a sentence."""

    def stop(self) -> None:
        """End the daemons this cloud started; their databases stay."""

    def close(self) -> None:
        """Let go of connections; daemons run on."""


class HostBackend(Protocol):
    """The host half, in the agent."""

    def start(self, facts: dict[str, Any]) -> None:
        """Start or adopt this host's daemons, bridges and external gateway address, and join; `facts` are the control half's. May be
        repeated, and repairs what health() complains of."""

    def serve_metadata(self, port: Port, subnets: list[Subnet]) -> str:
        """Make 169.254.169.254 of that metadata port's network (device_owner network:distributed; `subnets` are those of its addresses)
        reachable on this host; returns the path of the network namespace (/run/netns/…) in which a server must listen on
        169.254.169.254:80, or an empty string where no packets flow. May be repeated, and follows the port's addresses."""

    def drop_metadata(self, network_id: str) -> None:
        """Remove it again."""

    def metadata_networks(self) -> set[str]:
        """Networks for which it exists on this host."""

    def health(self) -> str | None:
        """None when well, else a sentence."""

    def stop(self) -> None:
        """End the daemons and remove bridges, addresses, rules and namespaces this cloud made on this host."""

    def close(self) -> None:
        """Let go of connections; daemons run on."""
