"""Intervals: the same whatever the order and repetition of what was told; together they are the time the thing existed."""
from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry.rating.usage import CENSUS, Fact, Interval, intervals, intervals_of_many

SIZES = st.sampled_from([1.0, 2.0, 10.0])
STATES = st.sampled_from(["active", "stopped"])


def fact(at: float, number: int, size: float = 1.0, state: str = "active", *, exists: bool = True, origin: str = "compute",
         name: str = "") -> Fact:
    return Fact("server", "s1", "p1", at, exists, {"vcpu": size}, {"state": state}, name, origin, number)


@st.composite
def lives(draw: st.DrawFn) -> list[Fact]:
    """A thing's life as events tell it: made, changed, perhaps gone."""
    ticks = sorted(draw(st.lists(st.integers(0, 1000), min_size=1, max_size=8, unique=True)))
    told = [fact(at, number, draw(SIZES), draw(STATES)) for number, at in enumerate(ticks)]
    if draw(st.booleans()): told.append(fact(ticks[-1] + 10, len(ticks), exists=False))
    return told


def shape(found: list[Interval]) -> list[tuple[float, float, float, str]]:
    return [(one.begin, one.end, one.quantities["vcpu"], one.attributes["state"]) for one in found]


@given(lives(), st.randoms(use_true_random=False), st.lists(st.integers(0, 7), max_size=5))
def test_any_order_and_repetition_gives_the_same(life: list[Fact], chance: random.Random, repeated: list[int]) -> None:
    told = life + [life[index] for index in repeated if index < len(life)]
    chance.shuffle(told)
    assert intervals(told, 0, 2000) == intervals(life, 0, 2000)


@given(lives(), st.integers(0, 1100), st.integers(0, 1100))
def test_intervals_cover_the_life_once(life: list[Fact], begin: int, end: int) -> None:
    found = intervals(life, begin, end)
    gone = next((one.at for one in life if not one.exists), 10_000.0)
    lived = max(0, min(end, gone) - max(begin, life[0].at))
    assert sum(one.end - one.begin for one in found) == lived
    assert all(first.end == second.begin for first, second in pairwise(found))
    for one in found:
        last = max((f for f in life if f.at <= one.begin), key=lambda f: f.at)
        assert (one.quantities, one.attributes) == (last.quantities, last.attributes)


@given(lives(), st.integers(1, 1099))
def test_periods_add_up(life: list[Fact], cut: int) -> None:
    def spent(found: list[Interval]) -> dict[tuple[float, str], float]:
        sums: dict[tuple[float, str], float] = {}
        for begin, end, size, state in shape(found): sums[size, state] = sums.get((size, state), 0) + end - begin
        return sums

    whole, first, second = (spent(intervals(life, *span)) for span in ((0, 1100), (0, cut), (cut, 1100)))
    assert whole == {key: first.get(key, 0) + second.get(key, 0) for key in whole}


@given(lives(), st.lists(st.tuples(st.integers(0, 1000), SIZES, STATES), max_size=3))
def test_a_census_that_saw_what_events_told_changes_nothing(life: list[Fact], looks: list[tuple[int, float, str]]) -> None:
    """A census between the events sees what is; what it then says equals the events."""
    extra = []
    for at, _, _ in looks:
        known = [one for one in life if one.at <= at]
        if known and known[-1].exists:
            extra.append(fact(at, at, known[-1].quantities["vcpu"], known[-1].attributes["state"], origin=CENSUS))
    assert shape(intervals(life + extra, 0, 2000)) == shape(intervals(life, 0, 2000))


def test_events_that_come_late_correct_the_census() -> None:
    """The census missed the end, and guessed; then the event says when it was."""
    seen = [fact(100, 1), fact(500, 500, exists=False, origin=CENSUS)]
    assert shape(intervals(seen, 0, 1000)) == [(100, 500, 1.0, "active")]
    assert shape(intervals([*seen, fact(650, 2, exists=False)], 0, 1000)) == [(100, 650, 1.0, "active")]
    assert shape(intervals([*seen, fact(420, 2, exists=False)], 0, 1000)) == [(100, 420, 1.0, "active")]


def test_a_census_that_overlooked_a_thing_is_put_right_by_what_follows() -> None:
    told = [fact(100, 1), fact(500, 500, exists=False, origin=CENSUS), fact(600, 600, 2.0, origin=CENSUS)]
    assert shape(intervals(told, 0, 1000)) == [(100, 600, 1.0, "active"), (600, 1000, 2.0, "active")]
    told[2] = fact(600, 2, 2.0)
    assert shape(intervals(told, 0, 1000)) == [(100, 600, 1.0, "active"), (600, 1000, 2.0, "active")]


def test_an_event_stands_above_a_census_of_the_same_instant() -> None:
    told = [fact(100, 7, 9.0, origin=CENSUS), fact(100, 1, 1.0), fact(150, 2, 9.0)]
    assert shape(intervals(told, 0, 200)) == [(100, 150, 1.0, "active"), (150, 200, 9.0, "active")]


def test_nothing_comes_back_from_the_dead() -> None:
    told = [fact(100, 1), fact(200, 2, exists=False), fact(250, 3, 5.0), fact(300, 9, 2.0, origin=CENSUS)]
    assert shape(intervals(told, 0, 1000)) == [(100, 200, 1.0, "active")]


def test_a_new_name_makes_no_new_interval() -> None:
    found = intervals([fact(100, 1, name="a"), fact(200, 2, name="b")], 0, 1000)
    assert [(one.begin, one.end, one.name, one.open) for one in found] == [(100, 1000, "b", True)]


def test_a_thing_that_changed_hands_is_each_ones_for_its_time() -> None:
    told = [Fact("volume", "v", "p1", 100, True, {"gib": 1.0}, origin="volume", number=1),
            Fact("volume", "v", "p2", 300, True, {"gib": 1.0}, origin="volume", number=2)]
    assert [(one.project_id, one.begin, one.end) for one in intervals(told, 0, 400)] == [("p1", 100, 300), ("p2", 300, 400)]


def test_many_things_do_not_mix() -> None:
    told = [fact(100, 1), Fact("volume", "s1", "p1", 50, True, {"gib": 1.0}, origin="volume", number=1)]
    assert [(one.kind, one.begin) for one in intervals_of_many(told, 0, 200)] == [("server", 100), ("volume", 50)]
