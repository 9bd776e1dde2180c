"""Alarms over HTTP: who may what, what is refused and how, lists and searches, history, states, quotas, trusts."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.requests.telemetry.alarm_cloud import World, world_in
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT

THRESHOLD = {"metric": "cpu", "resource_id": "r1", "resource_type": "instance", "threshold": 5.0, "aggregation_method": "rate:mean"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made: yield made


def test_an_alarm_is_shown_as_it_was_made(world: World) -> None:
    made = world.make(name="cpu high", type="gnocchi_resources_threshold", gnocchi_resources_threshold_rule=THRESHOLD, severity="critical",
                      alarm_actions=["http://8.8.8.8/hook"] * 2, repeat_actions=True,
                      time_constraints=[{"name": "night", "start": "0 23 * * *", "duration": 3600}], event_rule=None)
    assert made["gnocchi_resources_threshold_rule"] == THRESHOLD | {"comparison_operator": "eq", "evaluation_periods": 1, "granularity": 60}
    assert (made["state"], made["state_reason"], made["severity"], made["enabled"]) == (
        "insufficient data", "Not evaluated yet", "critical", True)
    assert made["alarm_actions"] == ["http://8.8.8.8/hook"] and made["description"] == "gnocchi_resources_threshold alarm rule"
    assert made["time_constraints"] == [{"name": "night", "start": "0 23 * * *", "duration": 3600, "timezone": "",
                                         "description": "Time constraint at 0 23 * * * lasting for 3600 seconds"}]
    assert (made["project_id"], made["user_id"]) == (PROJECT, "u1")
    assert world.show(made["alarm_id"], who="reader") == made
    assert world.answer("POST", "/v2/alarms", {"name": "b", "type": "event", "event_rule": {}}).headers["Location"].startswith(
        "http://cloud/alarming/v2/alarms/")


RULE: dict[str, Any] = {"name": "a", "type": "event", "event_rule": {}}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"), ({"type": "threshold"}, "type"), ({"event_rule": None}, "event_rule must be set for event type alarm"),
    ({"composite_rule": {"or": []}}, "cannot be set at the same time"), ({"extra": 1}, "extra"), ({"severity": "bad"}, "severity"),
    ({"state": "bad"}, "state"), ({"alarm_actions": ["ftp://8.8.8.8/"]}, "Unsupported action"), ({"ok_actions": ["http://[::1"]}, "Unable"),
    ({"alarm_actions": ["http://10.0.0.1/x"]}, "not a public address"),
    ({"alarm_actions": ["trust+http://169.254.169.254/"]}, "not a public"),
    ({"alarm_actions": ["trust+http://id@8.8.8.8/"]}, "cannot contain a trust ID"), ({"alarm_actions": "http://8.8.8.8/"}, "alarm_actions"),
    ({"time_constraints": [{"name": "a", "start": "nonsense", "duration": 1}]}, "start"),
    ({"time_constraints": [{"name": "a", "start": "* * * * *", "duration": 1, "timezone": "Mars/X"}]}, "Timezone Mars/X is not valid"),
    ({"time_constraints": [{"name": "a", "start": "* * * * *", "duration": 1}] * 2}, "must be unique"),
    ({"event_rule": {"query": [{"field": "traits.x", "op": "gt", "value": "a", "type": "integer"}]}}, "Unable to convert"),
    ({"event_rule": {"query": [{"field": "a b", "value": "a"}]}}, "field"), 
    ({"event_rule": {"query": [{"field": "a", "op": "in", "value": 1}]}}, "op")]
BAD_THRESHOLDS: list[tuple[dict[str, Any], str]] = [
    ({"threshold": None}, "threshold"), ({"aggregation_method": "magic"}, "aggregation_method should be in"),
    ({"evaluation_periods": 0}, "period"),
    ({"evaluation_periods": 101}, "period"), ({"granularity": 0}, "granularity"), ({"comparison_operator": "like"}, "comparison"),
    ({"metrics": ["a"]}, "metrics"), ({"threshold": "x"}, "threshold"), ({"granularity": "1.5"}, "granularity")]
COMPOSITES: list[tuple[Any, str]] = [
    ({}, "Invalid input composite rule"), ({"not": []}, "combined"), ({"and": {}}, "Invalid input composite"), 
    ({"and": []}, "Invalid input"),
    ({"and": [{"threshold": 1, "metric": "x"}]}, "type must be set"), ({"or": [{"type": "event", "x": 1}]}, "Unsupported sub-rule type"),
    ({"or": [{"type": "gnocchi_resources_threshold", **THRESHOLD, "threshold": None}]}, "threshold"),
    ({"and": ["x"]}, "Invalid input composite")]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_what_does_not_fit_is_refused_with_a_reason(world: World, change: dict[str, Any], told: str) -> None:
    code, body = world.ask("POST", "/v2/alarms", {name: value for name, value in (RULE | change).items() if name != "name" or value})
    assert code == 400 and told in body["error_message"]["faultstring"], body
    assert body["error_message"]["faultcode"] == "Client"


@pytest.mark.parametrize(("change", "told"), BAD_THRESHOLDS)
def test_threshold_rules_are_checked(world: World, change: dict[str, Any], told: str) -> None:
    rule = {name: value for name, value in (THRESHOLD | change).items() if value is not None}
    type = "gnocchi_resources_threshold"
    code, body = world.ask("POST", "/v2/alarms", {"name": "a", "type": type, f"{type}_rule": rule})
    assert code == 400 and told in body["error_message"]["faultstring"], body


@pytest.mark.parametrize(("rule", "told"), COMPOSITES)
def test_composite_rules_are_checked(world: World, rule: Any, told: str) -> None:
    code, body = world.ask("POST", "/v2/alarms", {"name": "a", "type": "composite", "composite_rule": rule})
    assert code == 400 and told in body["error_message"]["faultstring"], body


def test_numbers_may_be_written_as_text(world: World) -> None:
    """As the openstack client writes them."""
    made = world.make(type="gnocchi_resources_threshold", event_rule=None, gnocchi_resources_threshold_rule=THRESHOLD | {
        "granularity": "60", "evaluation_periods": "2", "threshold": "5.5"})
    rule = made["gnocchi_resources_threshold_rule"]
    assert (rule["granularity"], rule["evaluation_periods"], rule["threshold"]) == (60, 2, 5.5)


def test_nothing_that_is_no_alarm_breaks_anything(world: World) -> None:
    for body in (None, [], "x", 1, {"name": {}}, {"type": []}):
        assert world.ask("POST", "/v2/alarms", body)[0] == 400
    deep: Any = {"type": "x"}
    for _ in range(30): deep = {"and": [deep]}
    assert world.ask("POST", "/v2/alarms", {"name": "a", "type": "composite", "composite_rule": deep})[0] == 400


def test_others_do_not_see_it_and_readers_do_not_touch_it(world: World) -> None:
    id = world.make()["alarm_id"]
    for method, path, body in (("GET", "", None), ("PUT", "", RULE), ("DELETE", "", None), ("GET", "/state", None), ("PUT", "/state", "ok"),
                               ("GET", "/history", None)):
        assert world.ask(method, f"/v2/alarms/{id}{path}", body, who="other")[0] == 404, (method, path)
        assert world.ask(method, f"/v2/alarms/{id}{path}", body, who="")[0] == 401
        assert world.ask(method, f"/v2/alarms/{id}{path}", body, who="reader")[0] == (200 if method == "GET" else 403)
    assert world.ask("POST", "/v2/alarms", RULE, who="reader")[0] == 403
    assert world.ask("GET", "/v2/alarms", who="other") == (200, [])
    assert world.ask("POST", "/v2/query/alarms", {}, who="other") == (200, [])
    assert world.ask("POST", "/v2/query/alarms/history", {}, who="other") == (200, [])


def test_only_administrators_name_other_owners_and_write_to_the_log(world: World) -> None:
    code, body = world.ask("POST", "/v2/alarms", RULE | {"project_id": OTHER_PROJECT})
    assert (code, body["error_message"]["faultstring"]) == (401, f"Not Authorized to access project {OTHER_PROJECT}")
    assert world.make(who="admin", project_id=OTHER_PROJECT, user_id="u3")["project_id"] == OTHER_PROJECT
    assert world.ask("POST", "/v2/alarms", RULE | {"alarm_actions": ["log://"]})[0] == 401
    assert world.make(who="admin", alarm_actions=["log://"])["alarm_actions"] == ["log://"]
    assert world.ask("GET", f"/v2/alarms?q.field=project_id&q.value={OTHER_PROJECT}")[0] == 401


def test_a_put_replaces_everything(world: World) -> None:
    made = world.make(alarm_actions=["http://8.8.8.8/hook"], severity="critical", description="long")
    id = made["alarm_id"]
    changed = {**made, "name": "b", "type": "composite", "composite_rule": {"or": [{"type": "gnocchi_resources_threshold", **THRESHOLD}]}}
    del changed["event_rule"]
    code, body = world.ask("PUT", f"/v2/alarms/{id}", changed)
    assert code == 200 and body["type"] == "composite" and "event_rule" not in body and body["severity"] == "critical"
    code, body = world.ask("PUT", f"/v2/alarms/{id}", {**RULE, "project_id": OTHER_PROJECT, "state": "ok"})
    assert (body["alarm_actions"], body["severity"], body["project_id"], body["state"]) == ([], "low", PROJECT, "ok")
    assert body["state_reason"] == "Manually set via API"
    assert [entry["type"] for entry in world.ask("GET", f"/v2/alarms/{id}/history")[1]] == ["rule change", "rule change", "creation"]


def test_states_are_set_and_told(world: World) -> None:
    id = world.make()["alarm_id"]
    assert world.ask("GET", f"/v2/alarms/{id}/state") == (200, "insufficient data")
    assert world.ask("PUT", f"/v2/alarms/{id}/state", "alarm") == (200, "alarm")
    assert world.ask("GET", f"/v2/alarms/{id}/state") == (200, "alarm")
    for bad in ("bad", None, {}, 1): assert world.ask("PUT", f"/v2/alarms/{id}/state", bad)[0] == 400
    shown = world.show(id)
    assert (shown["state"], shown["state_reason"]) == ("alarm", "Manually set via API")
    entry = world.ask("GET", f"/v2/alarms/{id}/history")[1][0]
    assert (entry["type"], entry["detail"]) == ("state transition", '{"state":"alarm","state_reason":"Manually set via API"}')


def test_lists_are_filtered_sorted_and_paged(world: World) -> None:
    ids = [world.make(name=name, severity=severity, enabled=name != "c")["alarm_id"]
           for name, severity in (("a", "low"), ("b", "critical"), ("c", "low"))]
    world.make(who="other", name="z")

    def names(query: str, who: str = "member") -> list[str]:
        code, body = world.ask("GET", f"/v2/alarms?{query}", who=who)
        assert code == 200, body
        return [alarm["name"] for alarm in body]

    assert names("") == ["c", "b", "a"] and names("sort=name") == ["a", "b", "c"]
    assert names("sort=severity:desc&sort=name:desc") == ["c", "a", "b"]
    assert names("q.field=severity&q.op=eq&q.value=low&sort=name") == ["a", "c"]
    assert names("q.field=severity&q.op=eq&q.value=low&q.field=enabled&q.op=eq&q.value=True") == ["a"]
    assert names("q.field=enabled&q.op=&q.value=false") == ["c"]
    assert names("sort=name&limit=2") == ["a", "b"] and names(f"sort=name&limit=2&marker={ids[1]}") == ["c"]
    assert sorted(names("q.field=all_projects&q.op=eq&q.value=true", "admin")) == ["a", "b", "c", "z"] and names("", "admin") == []
    assert world.ask("GET", "/v2/alarms?q.field=all_projects&q.op=eq&q.value=true")[0] == 403
    for bad in ("q.field=rule&q.value=1", "q.field=name&q.op=gt&q.value=1", "q.field=name", "sort=rule", "sort=name:up", "limit=0",
                "limit=x",
                "marker=nobody", "q.field=enabled&q.value=perhaps"):
        assert world.ask("GET", f"/v2/alarms?{bad}")[0] == 400, bad


def test_complex_queries(world: World) -> None:
    for name, severity in (("web", "low"), ("db", "critical"), ("x%y", "low")): world.make(name=name, severity=severity)
    world.make(who="other", name="web")

    def names(filter: str, orderby: str = '[{"name": "asc"}]', who: str = "member", **more: Any) -> list[str]:
        code, body = world.ask("POST", "/v2/query/alarms", {"filter": filter, "orderby": orderby} | more, who=who)
        assert code == 200, body
        return [alarm["name"] for alarm in body]

    assert names('{"=": {"severity": "low"}}') == ["web", "x%y"] and names('{"not": {"=": {"severity": "low"}}}') == ["db"]
    assert names('{"or": [{"=": {"name": "db"}}, {"=~": {"name": "^we"}}]}') == ["db", "web"]
    assert names('{"=~": {"name": "%"}}') == ["x%y"] and names('{"=~": {"name": "^.b$"}}') == ["db"]
    assert names('{"=~": {"name": "^w.*b$"}}') == ["web"]
    assert names('{"in": {"name": ["db", "web"]}}', '[{"name": "DESC"}]') == ["web", "db"]
    assert names('{"=": {"enabled": true}}', limit=1) == ["db"]
    assert names('{">": {"timestamp": "2020-01-01T00:00:00"}}') == ["db", "web", "x%y"]
    assert names('{"=": {"name": "web"}}', who="admin") == ["web", "web"]
    assert names(f'{{"=": {{"project": "{PROJECT}"}}}}', who="admin") != []
    assert world.ask("POST", "/v2/query/alarms", {"filter": f'{{"=": {{"project_id": "{OTHER_PROJECT}"}}}}'})[0] == 401
    for bad in ("x", "[]", "{}", '{"=": {}}', '{"=": {"rule": 1}}', '{"~": {"name": 1}}', '{"and": [{"=": {"name": 1}}]}',
                '{"in": {"name": 1}}',
                '{"=~": {"name": "(a+)+$"}}', '{"=": {"name": null}}', '{"=": {"timestamp": "x"}}', '{"=": {"enabled": "perhaps"}}'):
        assert world.ask("POST", "/v2/query/alarms", {"filter": bad})[0] == 400, bad
    for body in ({"limit": 0}, {"orderby": "x"}, {"orderby": '[{"name": "up"}]'}, {"orderby": "{}"}, {"other": 1}, []):
        assert world.ask("POST", "/v2/query/alarms", body)[0] == 400, body


def test_the_history_of_what_is_gone_can_be_searched(world: World) -> None:
    id = world.make(name="gone")["alarm_id"]
    assert world.ask("DELETE", f"/v2/alarms/{id}")[0] == 204
    assert world.ask("GET", f"/v2/alarms/{id}/history")[0] == 404 and world.ask("DELETE", f"/v2/alarms/{id}")[0] == 404
    asked = {"filter": f'{{"=": {{"alarm_id": "{id}"}}}}', "orderby": '[{"timestamp": "asc"}]'}
    code, found = world.ask("POST", "/v2/query/alarms/history", asked)
    assert code == 200 and [entry["type"] for entry in found] == ["creation", "deletion"]
    assert found[0]["on_behalf_of"] == PROJECT and '"name":"gone"' in found[0]["detail"] and found[0]["user_id"] == "u1"


def test_history_is_filtered_and_paged(world: World) -> None:
    id = world.make()["alarm_id"]
    for state in ("ok", "alarm", "ok"): world.ask("PUT", f"/v2/alarms/{id}/state", state)
    path = f"/v2/alarms/{id}/history"
    assert len(world.ask("GET", path + "?q.field=type&q.op=eq&q.value=state transition")[1]) == 3
    first = world.ask("GET", path + "?limit=2&sort=timestamp:asc")[1]
    rest = world.ask("GET", path + f"?sort=timestamp:asc&marker={first[-1]['event_id']}")[1]
    assert len(first) == len(rest) == 2 and {e["event_id"] for e in first}.isdisjoint(e["event_id"] for e in rest)
    assert world.ask("GET", path + "?q.field=timestamp&q.op=gt&q.value=2099-01-01T00:00:00")[1] == []


def test_quotas(world: World) -> None:
    assert world.ask("GET", "/v2/quotas") == (200, {"project_id": PROJECT, "quotas": [{"resource": "alarms", "limit": -1}]})
    asked = {"project_id": PROJECT, "quotas": [{"resource": "alarms", "limit": 1}]}
    assert world.ask("POST", "/v2/quotas", asked)[0] == 403 and world.ask("POST", "/v2/quotas", asked, who="admin") == (201, asked)
    world.make()
    code, body = world.ask("POST", "/v2/alarms", RULE)
    assert (code, body["error_message"]["faultstring"]) == (403, f"Alarm quota exceeded for user u1 on project {PROJECT}")
    world.make(who="other")
    assert world.ask("GET", f"/v2/quotas?project_id={PROJECT}", who="other")[0] == 403
    assert world.ask("GET", f"/v2/quotas?project_id={PROJECT}", who="admin") == (200, asked)
    assert world.ask("DELETE", f"/v2/quotas/{PROJECT}", who="admin")[0] == 204 and world.make()
    for bad in ({}, {"project_id": PROJECT}, {"project_id": PROJECT, "quotas": [{"resource": "x", "limit": 1}]},
                {"project_id": PROJECT, "quotas": [{"resource": "alarms", "limit": -2}]}):
        assert world.ask("POST", "/v2/quotas", bad, who="admin")[0] == 400


def test_capabilities_and_versions(world: World) -> None:
    assert world.ask("GET", "/v2/capabilities")[1]["api"]["alarms:query:complex"] is True
    assert world.ask("GET", "/", who="")[1]["versions"]["values"][0]["id"] == "v2"


def test_a_trust_is_made_for_the_alarm_and_ends_with_it(world: World) -> None:
    made = world.make(alarm_actions=["trust+http://8.8.8.8/a", "trust+https://8.8.8.8/b"], ok_actions=["http://8.8.8.8/"])
    id = made["alarm_id"]
    assert world.people.trusts == {f"{0:032x}": "member"} and made["alarm_actions"] == ["trust+http://8.8.8.8/a", "trust+https://8.8.8.8/b"]
    world.ask("PUT", f"/v2/alarms/{id}", made | {"name": "same trust"})
    assert len(world.people.trusts) == 1
    world.ask("PUT", f"/v2/alarms/{id}", RULE)
    assert world.people.trusts == {}
    world.ask("PUT", f"/v2/alarms/{id}", made)
    assert len(world.people.trusts) == 1
    world.ask("DELETE", f"/v2/alarms/{id}")
    assert world.people.trusts == {}


def test_no_trust_is_left_behind_by_what_failed(world: World) -> None:
    world.ask("POST", "/v2/quotas", {"project_id": PROJECT, "quotas": [{"resource": "alarms", "limit": 0}]}, who="admin")
    assert world.ask("POST", "/v2/alarms", RULE | {"alarm_actions": ["trust+http://8.8.8.8/a"]})[0] == 403
    assert world.people.trusts == {}
    world.people.away = True
    assert world.ask("POST", "/v2/alarms", RULE | {"alarm_actions": ["trust+http://8.8.8.8/a"]})[0] == 503
