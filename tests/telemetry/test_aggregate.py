"""Statistics by bucket: however samples come, the buckets say what all of them say."""
from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry import aggregate
from pilvi.telemetry.archive import Policy, methods_of, policy

LINES = [{"granularity": 10.0, "timespan": None}, {"granularity": 60.0, "timespan": None}]
MERGING = policy(LINES, methods_of(["mean", "sum", "min", "max", "count", "std", "first", "last", "rate:mean", "rate:max"]), 0)
EXACT = policy(LINES, methods_of(["mean", "median", "95pct", "std", "rate:sum"]), 2)
VALUES = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
TIMES = st.integers(0, 600).map(float)
BATCHES = st.lists(st.lists(st.tuples(TIMES, VALUES), min_size=1, max_size=8), min_size=1, max_size=12)


class Store:
    """A metric as a driver keeps it."""

    def __init__(self, chosen: Policy) -> None:
        self.policy = chosen
        self.buckets: dict[aggregate.Key, aggregate.Part] = {}
        self.kept: dict[float, float] = {}
        self.newest: aggregate.Sample | None = None

    def write(self, samples: list[aggregate.Sample]) -> None:
        ordered = sorted(samples)
        kept = sorted(self.kept.items()) if aggregate.late(self.policy, self.newest, ordered) else None
        plan = aggregate.plan(self.policy, self.newest, ordered, kept)
        for key, part in plan.merge.items():
            self.buckets[key] = aggregate.merged(self.buckets[key], part) if key in self.buckets else part
        self.buckets |= plan.replace
        self.kept |= dict(plan.keep)
        if plan.newest is None: return
        self.newest = plan.newest
        since = aggregate.kept_since(self.policy, self.newest[0])
        first = max((at for at in self.kept if at < since), default=since)
        self.kept = {at: v for at, v in self.kept.items() if at >= first}


def accepted(chosen: Policy, batches: list[list[aggregate.Sample]]) -> list[aggregate.Sample]:
    """What of the batches the policy's back window lets in, by a walk that knows nothing of buckets."""
    found: dict[float, float] = {}
    for batch in batches:
        bound = math.floor(max(found) / chosen.block) * chosen.block - chosen.back_window * chosen.block if found else -1.0
        found |= {at: value for at, value in sorted(batch) if at >= bound}
    return sorted(found.items())


@pytest.mark.parametrize("chosen", [MERGING, EXACT], ids=["merging", "exact"])
@given(batches=BATCHES)
def test_any_order_of_batches_gives_the_same_statistics(chosen: Policy, batches: list[list[aggregate.Sample]]) -> None:
    store = Store(chosen)
    for batch in batches: store.write(batch)
    everything = accepted(chosen, batches)
    for rate in chosen.kinds:
        series = aggregate.changes(everything) if rate else everything
        for level in chosen.levels:
            expected: dict[float, list[aggregate.Sample]] = {}
            for sample in series: expected.setdefault(sample[0] // level.granularity * level.granularity, []).append(sample)
            stored = {key[2]: part for key, part in store.buckets.items() if key[:2] == (rate, level.granularity)}
            assert set(stored) == set(expected)
            for at, samples in expected.items():
                for method in chosen.of(rate):
                    wanted = aggregate.whole(samples, chosen.of(rate)).value(method)
                    found = stored[at].value(method)
                    same = found == wanted if wanted is None else found == pytest.approx(wanted, rel=1e-6, abs=1e-3)
                    assert same, (rate, level, at, method, found, wanted)


@given(values=st.lists(VALUES, min_size=1, max_size=30))
def test_methods_mean_what_statistics_says(values: list[float]) -> None:
    part = aggregate.whole([(float(at), value) for at, value in enumerate(values)], frozenset({"median"}))
    assert part.value("mean") == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert part.value("median") == pytest.approx(statistics.median(values), abs=1e-6)
    assert part.value("std") == (pytest.approx(statistics.stdev(values), abs=1e-3) if len(values) > 1 else None)
    assert [part.value(m) for m in ("first", "last", "min", "max", "count")] == [values[0], values[-1], min(values), max(values),
                                                                                 len(values)]


def test_a_percentile_lies_between_two_values_in_proportion() -> None:
    assert aggregate.quantile([1, 2, 3, 4], "25pct") == 1.75 and aggregate.quantile([5.0], "99pct") == 5.0


def test_samples_before_the_back_window_are_dropped() -> None:
    store = Store(MERGING)
    store.write([(130.0, 1.0)])
    plan = aggregate.plan(MERGING, store.newest, [(119.0, 5.0)], sorted(store.kept.items()))
    assert plan.dropped == 1 and not plan.replace and not plan.merge


def test_words_of_a_policy_choose_its_methods() -> None:
    assert methods_of(["-mean", "+rate:mean"]) == {"min", "max", "sum", "std", "count", "rate:mean"}
    assert "rate:42pct" in methods_of(["*"]) and "mean" not in methods_of(["*", "-mean"])
    with pytest.raises(ValueError): methods_of(["average"])
