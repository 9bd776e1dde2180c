"""Alarms on metrics: evaluated when due, by one process, from what their project may see; told when they change."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.requests.telemetry.alarm_cloud import World, until, world_in

from pilvi.core import clock
from pilvi.telemetry.alarm import watch
from pilvi.telemetry.resources.alarm_tables import Alarm

ID, ID2 = "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-666666666666"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """It is the beginning of a minute: none ends between a measure and the look at it."""
    now = clock.now
    ahead = 61 - now() % 60
    monkeypatch.setattr(clock, "now", lambda: now() + ahead)
    with world_in(tmp_path) as made:
        assert made.ask("POST", "/v1/archive_policy", {
            "name": "minute", "back_window": 0, "aggregation_methods": ["mean", "max", "rate:mean"],
            "definition": [{"granularity": 60, "points": 100}]}, who="admin")[0] == 201
        yield made


def measure(world: World, *values: float, id: str = ID, who: str = "member", ago: int = 0) -> str:
    """Makes a resource with a metric, or adds to it: one value a minute, the last in the current minute (or so many ago) → metric's id."""
    world.ask("POST", "/v1/resource/generic", {"id": id, "metrics": {"cpu": {"archive_policy_name": "minute"}}}, who=who)
    now = clock.now() // 60 * 60
    batch = [{"timestamp": now - 60 * (len(values) - 1 - index + ago), "value": value} for index, value in enumerate(values)]
    code, body = world.ask("POST", f"/v1/resource/generic/{id}/metric/cpu/measures", batch, who=who)
    assert code == 202, body
    metric = world.ask("GET", f"/v1/resource/generic/{id}/metric/cpu", who=who)[1]
    return str(metric["id"])


def rule(**more: Any) -> dict[str, Any]:
    return {"metric": "cpu", "resource_id": ID, "resource_type": "generic", "threshold": 50.0, "comparison_operator": "gt",
            "aggregation_method": "mean", "granularity": 60, "evaluation_periods": 2} | more


def alarm(world: World, kind: str, given: dict[str, Any], **more: Any) -> str:
    made = world.make(type=kind, event_rule=None, **{f"{kind}_rule": given}, **more)
    return str(made["alarm_id"])


def look(world: World) -> None:
    """Lets the time come, and evaluates."""
    with world.database.write() as db: db.execute(update(Alarm).values(due_at=0.0))
    watch.evaluate_due(world.app)


def test_a_load_raises_the_alarm_and_its_end_settles_it(world: World) -> None:
    url = world.hooks.url
    id = alarm(world, "gnocchi_resources_threshold", rule(), alarm_actions=[url + "/up"], ok_actions=[url + "/down"],
               insufficient_data_actions=[url + "/lost"])
    look(world)
    assert (world.show(id)["state"], world.hooks.heard) == ("insufficient data", [])
    measure(world, 90, 95, ago=2)
    look(world)
    shown = world.show(id)
    assert (shown["state"], shown["state_reason"]) == (
        "alarm", "Transition to alarm due to 2 samples outside threshold, most recent: 95.0")
    assert world.hooks.wait()[0][0] == "/up"
    look(world)
    assert world.show(id)["state_timestamp"] == shown["state_timestamp"]
    measure(world, 1, 2)
    look(world)
    assert world.show(id)["state"] == "ok" and world.hooks.wait(2)[1][0] == "/down"
    world.ask("DELETE", f"/v1/resource/generic/{ID}")
    look(world)
    assert world.show(id)["state"] == "insufficient data" and world.hooks.wait(3)[2][2]["reason"] == f"Resource {ID} does not exist"


def test_actions_are_repeated_only_where_that_is_asked(world: World) -> None:
    measure(world, 90, 90)
    alarm(world, "gnocchi_resources_threshold", rule(), alarm_actions=[world.hooks.url + "/once"])
    alarm(world, "gnocchi_resources_threshold", rule(), alarm_actions=[world.hooks.url + "/again"], repeat_actions=True)
    for turns in (1, 2, 3):
        look(world)
        world.hooks.wait(1 + turns)
    assert sorted(path for path, _, _ in world.hooks.heard) == ["/again"] * 3 + ["/once"]
    again = [body for path, _, body in world.hooks.heard if path == "/again"][-1]
    assert again["reason"].startswith("Remaining as alarm") and (again["previous"], again["current"]) == ("alarm", "alarm")


def test_an_alarm_is_evaluated_by_one_process_at_a_time(world: World) -> None:
    id = alarm(world, "gnocchi_resources_threshold", rule())
    first = watch._take(world.app)
    assert [one.id for one in first] == [id] and watch._take(world.app) == []
    with world.database.read() as db:
        row = db.get(Alarm, id)
        assert row and clock.now() + 50 < row.due_at < clock.now() + 70


def test_what_changed_during_an_evaluation_is_left_alone(world: World) -> None:
    measure(world, 90, 90)
    id = alarm(world, "gnocchi_resources_threshold", rule())
    taken = watch._take(world.app)[0]
    changed = world.show(id) | {"enabled": False}
    assert world.ask("PUT", f"/v2/alarms/{id}", changed)[0] == 200
    watch.look(world.app, taken)
    assert world.show(id)["state"] == "insufficient data"
    look(world)
    assert world.show(id)["state"] == "insufficient data"  # disabled


def test_outside_its_hours_it_sleeps(world: World) -> None:
    measure(world, 90, 90)
    day = int(clock.now() // 86400 + 4) % 7
    closed = [{"name": "other days", "start": f"0 0 * * {(day + 3) % 7}", "duration": 60}]
    id = alarm(world, "gnocchi_resources_threshold", rule(), time_constraints=closed)
    look(world)
    assert world.show(id)["state"] == "insufficient data"


def test_metrics_by_id_are_put_together(world: World) -> None:
    ids = [measure(world, 40, 40), measure(world, 80, 80, id=ID2)]
    given = {name: value for name, value in rule(metrics=ids).items() if name not in ("metric", "resource_id", "resource_type")}
    high = alarm(world, "gnocchi_aggregation_by_metrics_threshold", given)
    low = alarm(world, "gnocchi_aggregation_by_metrics_threshold", given | {"threshold": 70.0})
    look(world)
    assert (world.show(high)["state"], world.show(low)["state"]) == ("alarm", "ok")  # their mean is 60


def test_metrics_of_resources_that_come_and_go(world: World) -> None:
    """A server that is gone a minute ago does not keep the group from being judged."""
    measure(world, 90, 90, 90)
    measure(world, 90, 90, id=ID2, ago=2)
    given = {name: value for name, value in rule(query=json.dumps({"like": {"original_resource_id": "11111111%"}})).items()
             if name != "resource_id"}
    id = alarm(world, "gnocchi_aggregation_by_resources_threshold", given)
    look(world)
    assert world.show(id)["state"] == "alarm"


def test_an_alarm_sees_only_what_its_project_sees(world: World) -> None:
    metric = measure(world, 90, 90, who="other")
    kinds = {"gnocchi_resources_threshold": rule(),
             "gnocchi_aggregation_by_metrics_threshold": {k: v for k, v in rule(metrics=[metric]).items()
                                                          if k not in ("metric", "resource_id", "resource_type")},
             "gnocchi_aggregation_by_resources_threshold": {k: v for k, v in rule(query=json.dumps({"=": {"id": ID}})).items()
                                                            if k != "resource_id"}}
    mine = [alarm(world, kind, given) for kind, given in kinds.items()]
    theirs = [alarm(world, kind, given, who="other") for kind, given in kinds.items()]
    anyones = [alarm(world, kind, given, who="admin") for kind, given in kinds.items()]
    look(world)
    assert [world.show(id)["state"] for id in mine] == ["insufficient data"] * 3
    assert [world.show(id)["state"] for id in theirs + anyones] == ["alarm"] * 6


def test_composite_rules(world: World) -> None:
    measure(world, 90, 90)
    leaf = {"type": "gnocchi_resources_threshold", **rule()}
    both = alarm(world, "composite", {"and": [leaf, {**leaf, "threshold": 99.0}]})
    either = alarm(world, "composite", {"or": [leaf, {**leaf, "threshold": 99.0}]})
    unknown = alarm(world, "composite", {"and": [leaf, {**leaf, "metric": "absent"}]})
    look(world)
    assert [world.show(id)["state"] for id in (both, either, unknown)] == ["ok", "alarm", "insufficient data"]
    assert "(rule1 or rule2)" in world.show(either)["state_reason"]


@pytest.mark.parametrize("query", ["x", "[]", '{"=": {}}', '{"magic": {"id": 1}}'])
def test_a_query_that_means_nothing_is_refused(world: World, query: str) -> None:
    given = {name: value for name, value in rule(query=query).items() if name != "resource_id"}
    kind = "gnocchi_aggregation_by_resources_threshold"
    assert world.ask("POST", "/v2/alarms", {"name": "a", "type": kind, f"{kind}_rule": given})[0] == 400


def test_one_bad_alarm_does_not_stop_the_others(world: World) -> None:
    measure(world, 90, 90)
    bad = alarm(world, "gnocchi_resources_threshold", rule())
    good = alarm(world, "gnocchi_resources_threshold", rule())
    with world.database.write() as db: db.execute(update(Alarm).where(Alarm.id == bad).values(rule={"evaluation_periods": 1}))
    look(world)
    until(lambda: world.show(good)["state"] == "alarm")
