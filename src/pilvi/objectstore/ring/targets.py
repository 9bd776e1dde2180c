"""How many copies of each partition a region, zone, node and device should hold: between what weights and what dispersion want. Pure."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pilvi.objectstore.ring.lookup import Device

Tier = tuple[object, ...]


def weighted(devices: Sequence[Device], replicas: float) -> dict[int, float]:
    """{device id: copies of a partition by weight alone}; no device more than one copy, what one can't take goes to the others."""
    wanted = dict.fromkeys((device.id for device in devices), 0.0)
    open_ = [device for device in devices if device.weight > 0]
    rest = min(replicas, float(len(open_)))
    while open_ and rest > 1e-12:
        total = sum(device.weight for device in open_)
        full = [device for device in open_ if rest * device.weight / total >= 1.0]
        if not full:
            for device in open_: wanted[device.id] = rest * device.weight / total
            break
        for device in full: wanted[device.id] = 1.0
        rest -= len(full)
        open_ = [device for device in open_ if device not in full]
    return wanted


def dispersed(devices: Sequence[Device], replicas: float) -> dict[int, float]:
    """{device id: copies} when copies are spread as evenly as can be over regions, then zones, nodes and devices, whatever the weights."""
    usable = [device for device in devices if device.weight > 0]
    wanted = dict.fromkeys((device.id for device in devices), 0.0)
    _spread(usable, min(replicas, float(len(usable))), 0, wanted)
    return wanted


def _spread(devices: Sequence[Device], copies: float, level: int, wanted: dict[int, float]) -> None:
    if level == 4:
        wanted[devices[0].id] = copies
        return
    children: dict[Tier, list[Device]] = defaultdict(list)
    for device in devices: children[device.tiers[level]].append(device)
    if copies <= 1:  # nothing to spread: by weight, each child its share
        total = sum(device.weight for device in devices)
        for below in children.values(): _spread(below, copies * sum(device.weight for device in below) / total, level + 1, wanted)
        return
    open_, rest = dict(children), copies
    while open_:
        share = rest / len(open_)
        small = [tier for tier, below in open_.items() if len(below) <= share]
        if not small:
            for below in open_.values(): _spread(below, share, level + 1, wanted)
            break
        for tier in small:
            below = open_.pop(tier)
            rest -= len(below)
            _spread(below, float(len(below)), level + 1, wanted)


def required_overload(devices: Sequence[Device], replicas: float) -> float:
    """By how much of its weight some device must be exceeded for full dispersion: 0.1 is ten per cent."""
    by_weight, spread = weighted(devices, replicas), dispersed(devices, replicas)
    return max((spread[one] / by_weight[one] - 1 for one in by_weight if by_weight[one] > 0), default=0.0)


def targets(devices: Sequence[Device], replicas: float, overload: float) -> dict[int, float]:
    """{device id: copies}: by weight, moved towards full dispersion as far as `overload` allows."""
    by_weight, spread = weighted(devices, replicas), dispersed(devices, replicas)
    needed = required_overload(devices, replicas)
    part = 1.0 if needed <= 1e-9 else min(1.0, overload / needed)
    return {one: by_weight[one] + (spread[one] - by_weight[one]) * part for one in by_weight}


def by_tier(devices: Sequence[Device], copies: Mapping[int, float]) -> dict[Tier, float]:
    """The same summed up for every tier."""
    sums: dict[Tier, float] = defaultdict(float)
    for device in devices:
        for tier in device.tiers: sums[tier] += copies[device.id]
    return dict(sums)


def whole_parts(copies: Mapping[int, float], slots: int, partitions: int, held: Mapping[int, int]) -> dict[int, int]:
    """{device id: partitions it should hold}: whole numbers that sum up to `slots`; where two have the same claim to one more, the one
    that holds it already keeps it."""
    exact = {one: share * partitions for one, share in copies.items()}
    wanted = {one: int(value + 1e-9) for one, value in exact.items()}
    rest = {one: exact[one] - wanted[one] for one in exact if copies[one] > 0}
    order = sorted(rest, key=lambda one: (not (rest[one] > 1e-9 and held.get(one, 0) > wanted[one]), -rest[one], one))
    missing = slots - sum(wanted.values())
    while missing > 0 and order:
        for one in order:
            if missing and wanted[one] < partitions:
                wanted[one] += 1
                missing -= 1
        if all(wanted[one] >= partitions for one in order): break
    return wanted
