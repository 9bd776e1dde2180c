"""Members of an anti-affinity group stay apart."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import ANTI_AFFINITY, Host, Request


def server_group_anti_affinity(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must run fewer than {request.group_max_per_host} members of the server group, as its policy is anti-affinity."""
    if request.group_policy != ANTI_AFFINITY or request.group_id is None: return hosts
    group_id, most = request.group_id, request.group_max_per_host
    return [host for host in hosts if host.groups.get(group_id, 0) < most]
