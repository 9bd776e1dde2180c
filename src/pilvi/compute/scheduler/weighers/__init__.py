"""Which of the hosts that pass is the best, and how much each view counts. One function a file, and this list."""
from __future__ import annotations

from pilvi.compute.scheduler.types import Weigher
from pilvi.compute.scheduler.weighers.build_failure import build_failure
from pilvi.compute.scheduler.weighers.cpu import cpu
from pilvi.compute.scheduler.weighers.disk import disk
from pilvi.compute.scheduler.weighers.io_ops import io_ops
from pilvi.compute.scheduler.weighers.ram import ram
from pilvi.compute.scheduler.weighers.server_group_soft_affinity import server_group_soft_affinity
from pilvi.compute.scheduler.weighers.server_group_soft_anti_affinity import server_group_soft_anti_affinity

WEIGHERS: tuple[tuple[Weigher, float], ...] = (
    (cpu, 1.0), (ram, 1.0), (disk, 1.0), (io_ops, 1.0),
    # nova's 1.0 lets three views of free room outvote a policy that the user asked for.
    (server_group_soft_affinity, 10.0), (server_group_soft_anti_affinity, 10.0),
    # A host on which builds fail comes last whatever else speaks for it.
    (build_failure, 1_000_000.0))
