"""What alarms tell: at least once, again where it failed, without one place holding up the others; and alarms on events."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.requests.telemetry.alarm_cloud import World, until, world_in
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT

from pilvi.core import clock
from pilvi.core.events import Event
from pilvi.core.http import fetch
from pilvi.telemetry.alarm import change, event, notify
from pilvi.telemetry.alarm.evaluate import Verdict
from pilvi.telemetry.alarm.notify import EACH_PLACE, LEASE_SECONDS, Notifier
from pilvi.telemetry.alarm.states import ALARM, OK
from pilvi.telemetry.config import Config
from pilvi.telemetry.resources.alarm_tables import Alarm, Notice


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made: yield made


def happened(seq: int = 1, type: str = "compute.instance.delete.end", project_id: str | None = PROJECT, **payload: Any) -> Event:
    return Event("compute", seq, type, 1000.0 + seq, "server-1", project_id, "u1", "req-1",
                 {"id": "server-1", "name": "web", "state": "deleted", "vcpus": 2, "launched_at": 990.5, "nested": {"x": 1}} | payload)


def find(world: World, id: str, state: str = ALARM) -> bool:
    """An evaluation that found the alarm in a state."""
    with world.database.write() as db:
        alarm = db.get(Alarm, id)
        assert alarm is not None
        done = change.found(db, alarm, Verdict(state, "because", {"type": "threshold"}))
    world.app.state["notifier"].poke()
    return done


def left(world: World) -> list[Notice]:
    with world.database.read() as db: return list(db.scalars(select(Notice)))


def due_now(world: World, attempts: int = 0) -> None:
    """Time passes, after so many attempts are over."""
    until(lambda: all(notice.attempts >= attempts for notice in left(world)) and not world.app.state["notifier"].underway)
    with world.database.write() as db: db.execute(update(Notice).values(next_at=0.0))
    world.app.state["notifier"].poke()


def test_a_change_is_told_to_the_places_of_the_new_state(world: World) -> None:
    url = world.hooks.url
    id = world.make(name="a", severity="critical", alarm_actions=[url + "/alarm"], ok_actions=[url + "/ok"])["alarm_id"]
    assert find(world, id)
    path, headers, body = world.hooks.wait()[0]
    assert path == "/alarm" and headers["content-type"] == "application/json" and headers["x-openstack-request-id"].startswith("req-")
    assert body == {"alarm_id": id, "alarm_name": "a", "severity": "critical", "previous": "insufficient data", "current": "alarm",
                    "reason": "because", "reason_data": {"type": "threshold"}}
    assert find(world, id, OK)
    assert world.hooks.wait(2)[1][0] == "/ok"
    until(lambda: not left(world))
    entries = world.ask("GET", f"/v2/alarms/{id}/history?q.field=type&q.value=state transition")[1]
    assert [entry["detail"] for entry in entries] == [f'{{"state":"{state}","transition_reason":"because"}}' for state in ("ok", "alarm")]
    assert (entries[0]["user_id"], entries[0]["on_behalf_of"]) == ("", PROJECT)


def test_a_verdict_on_what_has_changed_meanwhile_is_dropped(world: World) -> None:
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    with world.database.read() as db: stale = db.get(Alarm, id)
    assert find(world, id)
    with world.database.write() as db:
        assert stale and not change.found(db, stale, Verdict(OK, "late", {}))
    world.hooks.wait()
    assert world.show(id)["state"] == "alarm"


def test_what_failed_is_told_again(world: World) -> None:
    world.hooks.answers["/x"] = [500, 429, 200]
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    find(world, id)
    for attempts in (1, 2): due_now(world, attempts)
    world.hooks.wait(3)
    until(lambda: not left(world))
    assert len(world.hooks.heard) == 3


def test_what_will_never_be_taken_is_let_go(world: World) -> None:
    world.hooks.answers["/x"] = [404]
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    find(world, id)
    world.hooks.wait()
    until(lambda: not left(world))


def test_a_place_that_has_become_forbidden_is_let_go(world: World) -> None:
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    fetch.configure(fetch.Config())
    find(world, id)
    until(lambda: not left(world))
    assert world.hooks.heard == []


def test_it_is_given_up_after_its_time(tmp_path: Path) -> None:
    with world_in(tmp_path, Config(notice_seconds=0.0)) as world:
        world.hooks.answers["/x"] = [500] * 9
        find(world, world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"])
        until(lambda: not left(world))
        assert len(world.hooks.heard) == 1


def test_one_that_hangs_holds_up_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More notices to a place that hangs than there are threads; the other place hears at once."""
    monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 120.0)
    hanging = world.hooks.url.replace("127.0.0.1", "localhost")
    fetch.configure(fetch.Config(networks=["127.0.0.1/32", "::1/128"]))
    for _ in range(12): find(world, world.make(alarm_actions=[hanging + "/hang"])["alarm_id"])
    until(lambda: len(world.hooks.heard) >= EACH_PLACE)
    find(world, world.make(alarm_actions=[world.hooks.url + "/quick"])["alarm_id"])
    until(lambda: "/quick" in [path for path, _, _ in world.hooks.heard])
    assert [path for path, _, _ in world.hooks.heard].count("/hang") == EACH_PLACE
    world.hooks.hold.set()


def test_what_a_dead_process_was_telling_is_told_again(world: World) -> None:
    """It had taken the notice, and did not live to tell it: nobody else does until its lease is over."""
    world.app.state["notifier"].stop()
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    find(world, id)
    dead, alive = Notifier(world.app), Notifier(world.app)
    assert len(dead._take()) == 1 and alive._take() == []
    assert left(world)[0].next_at > clock.now() + LEASE_SECONDS / 2
    due_now(world)
    alive.start()
    assert len(world.hooks.wait()) == 1
    until(lambda: not left(world))
    alive.stop()


def test_a_trusted_action_brings_a_token_of_the_trust(world: World) -> None:
    id = world.make(alarm_actions=["trust+" + world.hooks.url + "/x"])["alarm_id"]
    find(world, id)
    assert world.hooks.wait()[0][1]["x-auth-token"] == f"trusted-{0:032x}"
    world.people.trusts.clear()
    world.app.state["trust_tokens"].clear()
    find(world, id, OK)
    find(world, id)
    until(lambda: not left(world))
    assert len(world.hooks.heard) == 1


def test_identity_away_delays_a_trusted_action(world: World) -> None:
    id = world.make(alarm_actions=["trust+" + world.hooks.url + "/x"])["alarm_id"]
    world.people.away = True
    find(world, id)
    until(lambda: left(world)[0].attempts >= 1)
    world.people.away = False
    due_now(world)
    assert len(world.hooks.wait()) == 1


def test_deleting_an_alarm_silences_it(world: World) -> None:
    world.app.state["notifier"].stop()
    id = world.make(alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    find(world, id)
    assert len(left(world)) == 1
    world.ask("DELETE", f"/v2/alarms/{id}")
    assert left(world) == []


# -- events


def test_an_event_fires_the_alarms_of_its_project_once(world: World) -> None:
    rule = {"event_type": "compute.instance.*", "query": [{"field": "traits.state", "op": "eq", "value": "deleted"}]}
    mine = world.make(event_rule=rule, alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    other = world.make(event_rule=rule, who="other")["alarm_id"]
    event.on_events(world.app, [happened(1, state="active"), happened(2), happened(3), happened(4, project_id=None)])
    event.on_events(world.app, [happened(2)])
    assert (world.show(mine)["state"], world.show(other)["state"]) == ("alarm", "insufficient data")
    body = world.hooks.wait()[0][2]
    assert body["reason"].startswith("Event <id=compute-2,event_type=compute.instance.delete.end> hits the query")
    traits = {name: (number, value) for name, number, value in body["reason_data"]["event"]["traits"]}
    assert traits["instance_id"] == (1, "server-1") and traits["vcpus"] == (2, 2) and traits["display_name"] == (1, "web")
    assert traits["launched_at"] == (4, "1970-01-01T00:16:30.500000") and "nested" not in traits
    until(lambda: not left(world))
    assert len(world.hooks.heard) == 1


def test_a_repeating_event_alarm_fires_once_for_each_event(world: World) -> None:
    id = world.make(repeat_actions=True, alarm_actions=[world.hooks.url + "/x"])["alarm_id"]
    for events in ([happened(1), happened(2)], [happened(2)], [happened(1)], [happened(3)]): event.on_events(world.app, events)
    world.hooks.wait(3)
    until(lambda: not left(world))
    heard = sorted(body["reason_data"]["event"]["message_id"] for _, _, body in world.hooks.heard)
    assert heard == ["compute-1", "compute-2", "compute-3"]
    assert len(world.ask("GET", f"/v2/alarms/{id}/history?q.field=type&q.value=state transition")[1]) == 3


def test_a_disabled_alarm_is_deaf(world: World) -> None:
    id = world.make(enabled=False)["alarm_id"]
    event.on_events(world.app, [happened()])
    assert world.show(id)["state"] == "insufficient data"


@pytest.mark.parametrize(("condition", "holds"), [
    ({"field": "traits.vcpus", "op": "ge", "value": "2", "type": "integer"}, True),
    ({"field": "traits.vcpus", "op": "gt", "value": 2, "type": "float"}, False),
    ({"field": "traits.name", "op": "ne", "value": "web"}, False), ({"field": "event_type", "value": "compute.instance.delete.end"}, True),
    ({"field": "traits.name", "op": "gt", "value": "5", "type": "integer"}, False),
    ({"field": "traits.absent", "op": "ne", "value": "x"}, False),
    ({"field": "traits", "op": "ne", "value": "x"}, False), ({"field": "traits.project_id", "value": PROJECT}, True)])
def test_conditions(world: World, condition: dict[str, Any], holds: bool) -> None:
    id = world.make(event_rule={"query": [condition]})["alarm_id"]
    event.on_events(world.app, [happened()])
    assert (world.show(id)["state"] == "alarm") is holds


def test_events_of_others_never_reach_an_alarm(world: World) -> None:
    id = world.make()["alarm_id"]
    event.on_events(world.app, [happened(project_id=OTHER_PROJECT)])
    assert world.show(id)["state"] == "insufficient data"
