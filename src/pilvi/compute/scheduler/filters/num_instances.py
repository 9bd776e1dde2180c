"""An operator's limit on servers per host, as metadata `max_instances_per_host` of an aggregate; the lowest one counts."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.aggregates import below_limit
from pilvi.compute.scheduler.types import Host, Request


def num_instances(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must run fewer servers than its aggregates' 'max_instances_per_host' allows (it runs {host.servers})."""
    return [host for host in hosts if not host.aggregates or below_limit(host, "max_instances_per_host", host.servers)]
