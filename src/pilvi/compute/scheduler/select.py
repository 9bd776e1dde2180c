"""Where servers go: filter, weigh, take the best. Pure; chance comes in as an argument and only decides between equals.

Placing several servers filters and weighs all hosts once; after each one only the host that was taken is looked at again.
"""
from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec import structs

from pilvi.compute.scheduler.filters import FILTERS
from pilvi.compute.scheduler.types import AFFINITY, Filter, Host, Refusal, Request, Weigher
from pilvi.compute.scheduler.weighers import WEIGHERS

Scale = list[tuple[Weigher, float, float]]
"""The weighers that tell these hosts apart: with the lowest figure, and what one unit above it is worth."""


def select(request: Request, hosts: Sequence[Host], count: int, rng: Random) -> list[Host]:
    """Hosts for that many servers alike, as they were when chosen; one host may occur several times.
    Fewer than asked for when there is no room for more: `explain` then says why."""
    left = list(passing(request, hosts))
    if not left or count < 1: return []
    scale, weights = _weigh(request, left)
    chosen: list[Host] = []
    while True:
        best = max(weights)
        at = weights.index(best) if weights.count(best) == 1 else rng.choice([n for n, weight in enumerate(weights) if weight == best])
        host = left[at]
        chosen.append(host)
        if len(chosen) == count: return chosen
        request, taken = _placed(request, host)
        if request.group_policy == AFFINITY and len(left) > 1: left, weights, at = [host], [best], 0
        if passing(request, [taken]): left[at], weights[at] = taken, _weight(request, taken, scale)
        else: del left[at], weights[at]
        if not left: return chosen


def passing(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """The hosts that meet all requirements; a forced host is not asked for any."""
    if request.forced: return [host for host in hosts if host.name == request.host]
    for each in FILTERS:
        hosts = each(request, hosts)
        if not hosts: break
    return hosts


def explain(request: Request, hosts: Sequence[Host]) -> list[Refusal]:
    """Every requirement that a host does not meet, host by host. Slow; for when nothing was found."""
    return [Refusal(host.name, each.__name__, _reason(each, request, host))
            for host in hosts for each in FILTERS if not each(request, [host])]


def _reason(each: Filter, request: Request, host: Host) -> str:
    return " ".join((each.__doc__ or each.__name__).split()).format(request=request, host=host)


def _weigh(request: Request, hosts: Sequence[Host]) -> tuple[Scale, list[float]]:
    """The scale, and each host's weight on it: every view's figures count from 0 (worst of these hosts) to its multiplier (best)."""
    scale: Scale = []
    weights = [0.0] * len(hosts)
    for weigher, multiplier in WEIGHERS:
        figures = weigher(request, hosts)
        if not figures: continue
        low = min(figures)
        span = max(figures) - low
        # A view in which all are equal still counts once one of them has been taken: by one server.
        worth = multiplier / (span or abs(weigher(*_one_more(request, hosts[0]))[0] - low) or 1.0)
        scale.append((weigher, low, worth))
        if span: weights = [weight + (figure - low) * worth for weight, figure in zip(weights, figures, strict=True)]
    return scale, weights


def _weight(request: Request, host: Host, scale: Scale) -> float:
    return sum((weigher(request, [host])[0] - low) * worth for weigher, low, worth in scale)


def _one_more(request: Request, host: Host) -> tuple[Request, list[Host]]:
    request, host = _placed(request, host)
    return request, [host]


def _placed(request: Request, host: Host) -> tuple[Request, Host]:
    """Both as they are once a server of the request runs on the host."""
    groups = host.groups
    if request.group_id is not None:
        groups = {**groups, request.group_id: groups.get(request.group_id, 0) + 1}
        request = structs.replace(request, group_hosts=request.group_hosts | {host.name})
    return request, structs.replace(
        host, vcpus_used=host.vcpus_used + request.vcpus, memory_used_mib=host.memory_used_mib + request.memory_mib,
        disk_used_gib=host.disk_used_gib + request.disk_gib, servers=host.servers + 1, io_ops=host.io_ops + 1, groups=groups)
