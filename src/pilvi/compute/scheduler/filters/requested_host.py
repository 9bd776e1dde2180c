"""The one host that was asked for."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def requested_host(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must be the host '{request.host}'."""
    if request.host is None: return hosts
    return [host for host in hosts if host.name == request.host]
