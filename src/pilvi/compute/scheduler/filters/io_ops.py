"""An operator's limit on building and moving per host, as metadata `max_io_ops_per_host` of an aggregate; the lowest one counts."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.aggregates import below_limit
from pilvi.compute.scheduler.types import Host, Request


def io_ops(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must be busy with fewer servers than its aggregates' 'max_io_ops_per_host' allows (it is with {host.io_ops})."""
    return [host for host in hosts if not host.aggregates or below_limit(host, "max_io_ops_per_host", host.io_ops)]
