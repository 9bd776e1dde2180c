"""Away from hosts that are busy building."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def io_ops(request: Request, hosts: Sequence[Host]) -> list[float]:
    """Fewer servers being built or moved."""
    return [-host.io_ops for host in hosts]
