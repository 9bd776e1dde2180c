"""Options of compute."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    cpu_allocation_ratio: float = 16.0
    """Virtual CPUs offered for each real one."""
    memory_allocation_ratio: float = 1.0
    """Guest memory offered for each byte of real memory."""
    disk_allocation_ratio: float = 4.0
    """Disk offered for each real GiB (overlays grow as they are written)."""
    reserved_memory_mib: int = 512
    """Memory kept for the host itself, in MiB."""
    boot_tries: int = 3
    """On how many hosts a boot is tried."""
    silent_seconds: float = 60.0
    """A host that was not heard of for so long, in seconds, gets no more servers, and its unfinished boots move or fail."""
    grace_seconds: float = 30.0
    """How long a guest may take to power off by itself, in seconds."""
    port_up_seconds: float = 120.0
    """How long a boot waits for the network to serve its ports, in seconds."""
    candidates: int = 1000
    """How many hosts placement is asked for, at most, per boot."""
    console_seconds: float = 600.0
    """How long the address of a console is good, in seconds."""
    api_failures_seconds: float = 60.0
    """How long an agent asks an API that is away again, in seconds, before a step fails."""
