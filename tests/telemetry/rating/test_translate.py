"""What events and lists say, as facts; and a census that heals whatever was lost."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.core.events import Event
from pilvi.telemetry.rating.translate import Seen, corrections, fact_of, sampled
from pilvi.telemetry.rating.usage import CENSUS, Fact, intervals_of_many, newest

FLAVOR = {"name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 20, "ephemeral": 5}


def heard(type: str, at: float = 500.0, seq: int = 1, **payload: Any) -> Fact | None:
    return fact_of(Event(type.partition(".")[0], seq, type, at, "x1", "p1", None, None, {"project_id": "p1", "name": "n"} | payload))


def server(type: str = "compute.instance.create.end", state: str = "active", **payload: Any) -> Fact | None:
    return heard(type, **{"flavor": FLAVOR, "state": state, "launched_at": 490.5, "deleted_at": None} | payload)


def test_a_server_counts_from_its_launch_to_its_deletion() -> None:
    made = server()
    assert made and (made.at, made.exists, made.kind, made.resource_id) == (490.5, True, "server", "x1")
    assert (made.project_id, made.name) == ("p1", "n")
    assert made.quantities == {"instance": 1, "vcpu": 2, "ram_gib": 2, "disk_gib": 25} and made.attributes == {
        "flavor": "m1.small", "state": "active"}
    stopped = server("compute.instance.power_off.end", "stopped")
    assert stopped and (stopped.at, stopped.attributes["state"]) == (500, "stopped")
    gone = server("compute.instance.delete.end", "deleted", deleted_at=499.25)
    assert gone and (gone.at, gone.exists) == (499.25, False)
    assert server(launched_at=None, state="error") is None


@pytest.mark.parametrize("type", ["compute.instance.delete.start", "compute.instance.create.error", "network.create.end", "port.create.end",
                                  "identity.project.created", "alarm.creation"])
def test_what_costs_nothing_is_no_fact(type: str) -> None:
    assert server(type) is None


def test_volumes_and_snapshots() -> None:
    made = heard("volume.create.end", size=10, type_id="t", created_at=450.0, state="available")
    assert made and (made.at, made.quantities, made.attributes) == (450, {"gib": 10}, {"type": "t"})
    grown = heard("volume.extend.end", size=20, type_id="t", created_at=450.0, state="available")
    assert grown and (grown.at, grown.quantities) == (500, {"gib": 20})
    gone = heard("volume.delete.end", size=20, state="deleted", deleted_at=480.0)
    assert gone and (gone.at, gone.exists) == (480, False)
    copy = heard("snapshot.create.end", size=20, created_at=451.0, state="available")
    assert copy and (copy.kind, copy.at, copy.quantities) == ("snapshot", 451, {"gib": 20})


def test_images_count_from_the_moment_they_are_whole() -> None:
    assert heard("image.create", owner="p1", state="queued", size=None) is None
    made = heard("image.upload", owner="p2", state="active", size=1 << 29)
    assert made and (made.project_id, made.at, made.quantities) == ("p2", 500, {"gib": 0.5})
    gone = heard("image.delete", owner="p2", state="deleted", size=1)
    assert gone and not gone.exists


def test_floating_ips() -> None:
    made = heard("floatingip.create.end", created_at=499.0, floating_ip_address="172.24.4.7", name="")
    assert made and (made.kind, made.at, made.quantities, made.name) == ("floating_ip", 499, {"address": 1}, "172.24.4.7")
    gone = heard("floatingip.delete.end", created_at=499.0)
    assert gone and (gone.at, gone.exists) == (500, False)


# -- the census


def fact(id: str, at: float, size: float = 1.0, *, exists: bool = True, number: int = 1, project: str = "p1") -> Fact:
    return Fact("volume", id, project, at, exists, {"gib": size} if exists else {}, {}, "", "volume", number)


def seen(id: str, since: float, size: float = 1.0, **more: Any) -> Seen:
    return Seen("volume", id, "p1", since, {"gib": size}, {}, **more)


def bill(facts: list[Fact]) -> list[tuple[str, float, float, float]]:
    return [(one.resource_id, one.begin, one.end, one.quantities["gib"]) for one in intervals_of_many(facts, 0, 2000)]


def census(known: list[Fact], listed: list[Seen], began: float = 1000.0, previous: float = 900.0) -> list[Fact]:
    return corrections("volume", newest(known), listed, began, began - 60, previous)


def test_what_was_never_heard_of_counts_from_its_creation() -> None:
    assert bill(census([], [seen("a", 300, 5)])) == [("a", 300, 2000, 5)]
    assert bill(census([], [seen("a", 300, 5, until=700.0)])) == [("a", 300, 700, 5)]


def test_what_went_unheard_has_ended_when_it_was_seen_last() -> None:
    assert bill([fact("a", 100), *census([fact("a", 100)], [])]) == [("a", 100, 900, 1)]
    assert bill([fact("a", 100), *census([fact("a", 100)], [], previous=0)])[0][2] == pytest.approx(100)
    assert bill([fact("a", 100), *census([fact("a", 100)], [seen("a", 100, until=640.0)])]) == [("a", 100, 640, 1)]


def test_an_unheard_change_counts_from_when_it_was_made() -> None:
    known = [fact("a", 100)]
    assert bill([*known, *census(known, [seen("a", 100, 3, changed=700.0)])]) == [("a", 100, 700, 1), ("a", 700, 2000, 3)]
    assert bill([*known, *census(known, [seen("a", 100, 3, changed=50.0)])]) == [("a", 100, 1000, 1), ("a", 1000, 2000, 3)]


def test_what_is_under_way_is_left_alone() -> None:
    assert census([fact("a", 970)], []) == [] and census([], [seen("b", 980)]) == [] and census([], [seen("c", 100, until=980.0)]) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 900), st.sampled_from([1.0, 2.0]), st.booleans()), max_size=8),
       st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 900), st.sampled_from([1.0, 2.0])), max_size=3, unique_by=lambda t: t[0]))
def test_a_second_census_finds_nothing_to_correct(events: list[tuple[str, int, float, bool]], listed: list[tuple[str, int, float]]) -> None:
    known = [fact(id, at, size, exists=exists, number=number) for number, (id, at, size, exists) in enumerate(events)]
    dead = {one.resource_id for one in known if not one.exists}
    things = [seen(id, at, size) for id, at, size in listed if id not in dead]
    first = census(known, things)
    assert census([*known, *first], things, began=1500.0, previous=1000.0) == []
    assert all(one.origin == CENSUS for one in first)
    assert {id for id, _, end, _ in bill([*known, *first]) if end == 2000} == {one.resource_id for one in things}


def test_what_is_measured_counts_from_each_measurement_on() -> None:
    first = sampled([], [seen("a", 0, 5), seen("b", 0, 0)], 100)
    same = sampled(newest(first), [seen("a", 0, 5), seen("b", 0, 0)], 200)
    more = sampled(newest(first), [seen("a", 0, 7), seen("b", 0, 0)], 300)
    gone = sampled(newest([*first, *more]), [seen("b", 0, 0)], 400)
    back = sampled(newest([*first, *more, *gone]), [seen("a", 0, 1), seen("b", 0, 0)], 500)
    assert same == [] and sampled(newest([*first, *more, *gone]), [seen("b", 0, 0)], 450) == []
    assert [one for one in bill([*first, *more, *gone, *back]) if one[0] == "a"] == [
        ("a", 100, 300, 5), ("a", 300, 400, 7), ("a", 400, 500, 0), ("a", 500, 2000, 1)]
