"""The statistics of a metric's samples, bucket by bucket; pure.

Samples are (instant, value) pairs. A bucket's statistics are a `Part`; parts of disjoint samples merge, in any order, into the part of all
(property-tested), so that a new sample costs one merge per granularity. Where the samples themselves are needed (percentiles, samples
that come late or twice) a bucket is computed anew from those that are kept: all since one block before the oldest that may still come.

Source: Gnocchi, "Aggregation methods", "Back window".
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from pilvi.telemetry.archive import MERGEABLE, Policy

Sample = tuple[float, float]
Key = tuple[bool, float, float]
"""(of the changes?, granularity, begin of the bucket)"""


class Part(Struct):
    """The statistics of some samples of a bucket. `squares`: the sum of the squared distances from their mean."""
    n: int
    total: float
    least: float
    most: float
    first_at: float
    first: float
    last_at: float
    last: float
    squares: float = 0.0
    more: dict[str, float] | None = None
    """{method: value} of what cannot be merged."""

    def value(self, method: str) -> float | None:
        """What an aggregation method gives; None: it gives nothing (the deviation of a single sample)."""
        if method == "mean": return self.total / self.n
        if method == "std": return math.sqrt(max(0.0, self.squares) / (self.n - 1)) if self.n > 1 else None
        if method in NAMES: return float(getattr(self, NAMES[method]))
        return (self.more or {}).get(method)


NAMES = {"sum": "total", "min": "least", "max": "most", "count": "n", "first": "first", "last": "last"}


def single(at: float, value: float) -> Part:
    """The part of one sample."""
    return Part(1, value, value, value, at, value, at, value)


def merged(a: Part, b: Part) -> Part:
    """The part of the samples of both. Source: Chan, Golub, LeVeque, "Updating formulae … for computing sample variances"."""
    n = a.n + b.n
    apart = b.total / b.n - a.total / a.n
    early, late = (a if a.first_at <= b.first_at else b), (b if b.last_at >= a.last_at else a)
    return Part(n, a.total + b.total, min(a.least, b.least), max(a.most, b.most), early.first_at, early.first, late.last_at, late.last,
                a.squares + b.squares + apart * apart * a.n * b.n / n)


def whole(samples: Sequence[Sample], methods: frozenset[str]) -> Part:
    """The part of a bucket's samples (in order, at least one), with what `methods` need beyond what merges."""
    values = [value for _, value in samples]
    total, n = math.fsum(values), len(values)
    mean = total / n
    extra = methods - MERGEABLE
    more = {method: quantile(values, method) for method in extra} if extra else None
    return Part(n, total, min(values), max(values), *samples[0], *samples[-1], math.fsum((value - mean) ** 2 for value in values), more)


def quantile(values: Sequence[float], method: str) -> float:
    """The median or a percentile ("95pct"), between two values in proportion."""
    share = 0.5 if method == "median" else int(method.removesuffix("pct")) / 100
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def floor(at: float, granularity: float) -> float:
    """The begin of the bucket that an instant falls into."""
    return math.floor(at / granularity) * granularity


def changes(samples: Sequence[Sample]) -> list[Sample]:
    """The change from each sample to the next, at the instant of the later one."""
    return [(late[0], late[1] - early[1]) for early, late in pairwise(samples)]


class Plan(Struct):
    """What a batch of samples does to a stored metric."""
    merge: dict[Key, Part] = {}
    """Parts to be merged into what is stored."""
    replace: dict[Key, Part] = {}
    """Buckets computed anew."""
    keep: list[Sample] = []
    """Samples to be kept for a while, over those of the same instants."""
    newest: Sample | None = None
    dropped: int = 0
    """Samples too old for the policy's back window."""


def oldest(policy: Policy, newest_at: float) -> float:
    """The instant before which no sample is taken any more."""
    return floor(newest_at, policy.block) - policy.back_window * policy.block


def kept_since(policy: Policy, newest_at: float) -> float:
    """Samples before this instant are needed no more, but for the last of them: the next one's change is counted from it."""
    return oldest(policy, newest_at) - policy.block


def late(policy: Policy, newest: Sample | None, samples: Sequence[Sample]) -> bool:
    """Must the kept samples be read to take these (in order)?"""
    return newest is not None and (samples[0][0] <= newest[0] or not policy.merges())


def plan(policy: Policy, newest: Sample | None, samples: Sequence[Sample], kept: Sequence[Sample] | None = None) -> Plan:
    """What to do with new samples. `newest`: the latest stored one; `kept`: those still there, when `late` says that they are needed."""
    fresh = sorted(dict(samples).items())
    if kept is None: return _append(policy, newest, fresh)
    bound = oldest(policy, newest[0]) if newest else -math.inf
    taken = [sample for sample in fresh if sample[0] >= bound]
    if not taken: return Plan(dropped=len(fresh))
    everything = sorted((dict(kept) | dict(taken)).items())
    made = Plan(keep=taken, newest=everything[-1] if newest is None or everything[-1][0] >= newest[0] else newest,
                dropped=len(fresh) - len(taken))
    new = {at for at, _ in taken}
    for rate in policy.kinds:
        series = changes(everything) if rate else everything
        # a change belongs to its later sample, so the one after a new sample changes too
        touched = {at for (at, _), before in zip(series, everything, strict=False) if at in new or (rate and before[0] in new)}
        for level in policy.levels: _recompute(made, rate, level.granularity, series, touched, policy.of(rate))
    return made


def _recompute(made: Plan, rate: bool, granularity: float, series: Sequence[Sample], touched: set[float], methods: frozenset[str]) -> None:
    wanted = {floor(at, granularity) for at in touched}
    buckets: dict[float, list[Sample]] = {}
    for sample in series:
        if (bucket := floor(sample[0], granularity)) in wanted: buckets.setdefault(bucket, []).append(sample)
    for bucket, samples in buckets.items(): made.replace[rate, granularity, bucket] = whole(samples, methods)


def _append(policy: Policy, newest: Sample | None, fresh: list[Sample]) -> Plan:
    made = Plan(keep=fresh, newest=fresh[-1])
    for rate in policy.kinds:
        series = (changes([newest, *fresh] if newest else fresh)) if rate else fresh
        methods = policy.of(rate)
        for level in policy.levels:
            for bucket, samples in _grouped(series, level.granularity):
                made.merge[rate, level.granularity, bucket] = whole(samples, methods) if len(samples) > 1 or methods - MERGEABLE \
                    else single(*samples[0])
    return made


def _grouped(series: Iterable[Sample], granularity: float) -> Iterable[tuple[float, list[Sample]]]:
    found: dict[float, list[Sample]] = {}
    for sample in series: found.setdefault(floor(sample[0], granularity), []).append(sample)
    return found.items()
