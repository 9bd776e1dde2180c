"""The availability zone that was asked for."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def availability_zone(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must be in the availability zone '{request.availability_zone}' and is in '{host.availability_zone}'."""
    if (zone := request.availability_zone) is None: return hosts
    return [host for host in hosts if host.availability_zone == zone]
