"""`trait:NAME = required | forbidden` of flavor and image. Placement asks this too, where it is asked."""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request


def required_traits(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must have the required traits and none of the forbidden ones."""
    rules = [(key.removeprefix("trait:"), value) for source in (request.extra_specs, request.image_properties)
             for key, value in source.items() if key.startswith("trait:")]
    if not rules: return hosts
    required = frozenset(name for name, value in rules if value == "required")
    forbidden = frozenset(name for name, value in rules if value == "forbidden")
    return [host for host in hosts if required <= host.traits and forbidden.isdisjoint(host.traits)]
