"""Scheduler hint different_host."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def different_host(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must run none of the servers named in the hint 'different_host'."""
    if not (unwanted := request.different_hosts): return hosts
    return [host for host in hosts if host.name not in unwanted]
