"""Extra specs about the host: `capabilities:NAME`, and names without a prefix.

Source: nova, ComputeCapabilitiesFilter. Other prefixes (hw:, trait:, quota: …) belong to others.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilvi.compute.scheduler.extra_spec import meets
from pilvi.compute.scheduler.types import Host, Request

OWN = ("hypervisor_type", "hypervisor_version", "architecture", "vcpus", "vcpus_used", "memory_mib", "disk_gib")
"""Facts of every host; what the driver reports under the same name goes first."""


def compute_capabilities(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must have the capabilities that the flavor's extra specs ask for."""
    wanted = [(key.removeprefix("capabilities:").split(":"), requirement) for key, requirement in request.extra_specs.items()
              if ":" not in key or key.startswith("capabilities:")]
    if not wanted: return hosts
    return [host for host in hosts
            if all((value := _capability(host, path)) is not None and meets(value, requirement) for path, requirement in wanted)]


def _capability(host: Host, path: list[str]) -> str | None:
    if path[0] not in host.capabilities: return str(getattr(host, path[0])) if len(path) == 1 and path[0] in OWN else None
    value: Any = host.capabilities
    for word in path:
        if not isinstance(value, Mapping) or word not in value: return None
        value = value[word]
    return str(value)
