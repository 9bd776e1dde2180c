"""Together where possible."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import SOFT_AFFINITY, Host, Request


def server_group_soft_affinity(request: Request, hosts: Sequence[Host]) -> list[float]:
    """More members of the group, where its policy is soft-affinity."""
    if request.group_policy != SOFT_AFFINITY or request.group_id is None: return []
    group_id = request.group_id
    return [host.groups.get(group_id, 0) for host in hosts]
