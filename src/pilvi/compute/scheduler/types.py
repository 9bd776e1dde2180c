"""What the scheduler decides over: hosts as they are, and what a server asks for. Plain values; the worker fills them from the database."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

AFFINITY, ANTI_AFFINITY = "affinity", "anti-affinity"
SOFT_AFFINITY, SOFT_ANTI_AFFINITY = "soft-affinity", "soft-anti-affinity"


class Aggregate(Struct, frozen=True, kw_only=True):
    """A named set of hosts with an operator's remarks about them."""
    id: str
    metadata: dict[str, str] = {}


class Host(Struct, frozen=True, kw_only=True):
    """One hypervisor as the scheduler knows it."""
    name: str
    vcpus: int
    """What may be promised in all: with the allocation ratio, without what is reserved; so for memory and disk."""
    vcpus_used: int = 0
    memory_mib: int
    memory_used_mib: int = 0
    disk_gib: int
    disk_used_gib: int = 0
    enabled: bool = True
    up: bool = True
    availability_zone: str = "nova"
    aggregates: tuple[Aggregate, ...] = ()
    servers: int = 0
    groups: dict[str, int] = {}
    """How many members of which server group run here."""
    io_ops: int = 0
    """Servers being built, resized, snapshotted or moved here now."""
    failed_builds: int = 0
    """In a row, since the last one that went well."""
    traits: frozenset[str] = frozenset()
    hypervisor_type: str = "QEMU"
    hypervisor_version: int = 0
    """7.2.4 is 7002004."""
    architecture: str = "x86_64"
    capabilities: dict[str, Any] = {}
    """What else the driver reports, for `capabilities:` extra specs; may be nested."""


class Request(Struct, frozen=True, kw_only=True):
    """What one server, or each of several alike, needs."""
    server_id: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    extra_specs: dict[str, str] = {}
    image_properties: dict[str, str] = {}
    availability_zone: str | None = None
    host: str | None = None
    """This host and no other."""
    forced: bool = False
    """Do not ask the filters about that host (an administrator's ZONE:HOST)."""
    group_id: str | None = None
    group_policy: str = ""
    group_hosts: frozenset[str] = frozenset()
    """Where members of the group run."""
    group_max_per_host: int = 1
    """For anti-affinity."""
    same_hosts: frozenset[str] | None = None
    """The hosts of the servers named in the hint same_host; None: no such hint."""
    different_hosts: frozenset[str] = frozenset()
    """The hosts of the servers named in the hint different_host."""
    excluded_hosts: frozenset[str] = frozenset()
    """Where it has been tried already."""


Filter = Callable[[Request, Sequence[Host]], Sequence[Host]]
"""Keeps the hosts that meet one requirement. Its docstring names the requirement, with facts of {request} and {host}: that is what a user
reads when no host is left. What the request does not concern returns the hosts as they came."""

Weigher = Callable[[Request, Sequence[Host]], list[float]]
"""A figure for each host, larger is better; an empty list when it does not matter to the request."""


class Refusal(Struct, frozen=True):
    """Why one filter does not let one host through."""
    host: str
    filter: str
    reason: str
