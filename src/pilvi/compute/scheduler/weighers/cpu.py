"""Spreading by processors."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def cpu(request: Request, hosts: Sequence[Host]) -> list[float]:
    """Free VCPUs."""
    return [host.vcpus - host.vcpus_used for host in hosts]
