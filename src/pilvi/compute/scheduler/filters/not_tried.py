"""After a failed attempt: somewhere else."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def not_tried(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must not have failed to start this server before."""
    if not request.excluded_hosts: return hosts
    return [host for host in hosts if host.name not in request.excluded_hosts]
