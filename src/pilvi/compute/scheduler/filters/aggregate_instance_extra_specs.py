"""Extra specs about the host's aggregates: `aggregate_instance_extra_specs:KEY`.

Source: nova, AggregateInstanceExtraSpecsFilter. Upstream takes names without a prefix as well; here those speak of the host alone
(compute_capabilities), so that both filters can be on.
"""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.aggregates import metadata
from pilvi.compute.scheduler.extra_spec import meets
from pilvi.compute.scheduler.types import Host, Request

PREFIX = "aggregate_instance_extra_specs:"


def aggregate_instance_extra_specs(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must be in aggregates whose metadata are what the flavor's extra specs ask for."""
    wanted = [(key.removeprefix(PREFIX), requirement) for key, requirement in request.extra_specs.items() if key.startswith(PREFIX)]
    if not wanted: return hosts
    return [host for host in hosts
            if host.aggregates and all(any(meets(value, requirement) for value in metadata(host, key)) for key, requirement in wanted)]
