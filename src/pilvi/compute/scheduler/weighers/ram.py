"""Spreading by memory."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def ram(request: Request, hosts: Sequence[Host]) -> list[float]:
    """Free memory."""
    return [host.memory_mib - host.memory_used_mib for host in hosts]
