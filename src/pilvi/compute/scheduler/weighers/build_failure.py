"""Away from hosts on which builds failed."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def build_failure(request: Request, hosts: Sequence[Host]) -> list[float]:
    """Fewer failed builds in a row."""
    return [-host.failed_builds for host in hosts]
