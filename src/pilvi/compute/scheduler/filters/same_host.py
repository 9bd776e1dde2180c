"""Scheduler hint same_host."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def same_host(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must run one of the servers named in the hint 'same_host'."""
    if (wanted := request.same_hosts) is None: return hosts
    return [host for host in hosts if host.name in wanted]
