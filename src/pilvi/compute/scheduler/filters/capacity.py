"""Room for the flavor. Placement asks this too; here it matters when several servers are placed at once."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def capacity(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must have room for {request.vcpus} VCPUs (in use: {host.vcpus_used} of {host.vcpus}), {request.memory_mib} MiB of memory
    ({host.memory_used_mib} of {host.memory_mib}) and {request.disk_gib} GiB of disk ({host.disk_used_gib} of {host.disk_gib})."""
    vcpus, memory_mib, disk_gib = request.vcpus, request.memory_mib, request.disk_gib
    return [host for host in hosts
            if host.memory_used_mib + memory_mib <= host.memory_mib and host.vcpus_used + vcpus <= host.vcpus
            # A server that boots from a volume asks for no disk and must find a host even where disks are overfull.
            and (not disk_gib or host.disk_used_gib + disk_gib <= host.disk_gib)]
