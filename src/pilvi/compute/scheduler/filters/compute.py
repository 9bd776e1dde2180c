"""Hosts that can start anything at all."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def compute(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """Its compute service must be enabled (it is: {host.enabled}) and up (it is: {host.up})."""
    return [host for host in hosts if host.enabled and host.up]
