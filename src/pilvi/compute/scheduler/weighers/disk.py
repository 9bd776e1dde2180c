"""Spreading by disk."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def disk(request: Request, hosts: Sequence[Host]) -> list[float]:
    """Free disk."""
    return [host.disk_gib - host.disk_used_gib for host in hosts]
