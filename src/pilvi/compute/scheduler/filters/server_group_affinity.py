"""Members of an affinity group stay together."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import AFFINITY, Host, Request


def server_group_affinity(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must run the other members of the server group, as its policy is affinity."""
    if request.group_policy != AFFINITY or not request.group_hosts: return hosts
    return [host for host in hosts if host.name in request.group_hosts]
