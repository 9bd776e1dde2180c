"""Resources, their types, history, queries."""
from __future__ import annotations

from typing import Any

import pytest
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT
from tests.requests.telemetry.conftest import Telemetry


def make(telemetry: Telemetry, id: str, kind: str = "instance", who: str = "member", **values: Any) -> str:
    return str(telemetry.post(f"/v1/resource/{kind}", {"id": id, **values}, who=who)["id"])


def test_a_change_makes_a_revision_and_the_former_one_is_kept(telemetry: Telemetry) -> None:
    id = make(telemetry, "web", display_name="web", flavor_name="small", project_id=PROJECT)
    path = f"/v1/resource/instance/{id}"
    assert telemetry.ask("PATCH", path, {"flavor_name": "small"})[0] == 200  # nothing changes
    status, changed, headers = telemetry.ask("PATCH", path, {"flavor_name": "large", "ended_at": "2099-01-01T00:00:00"})
    assert status == 200 and changed["flavor_name"] == "large" and changed["display_name"] == "web"
    history = telemetry.get(path + "/history?details=true")
    assert [(one["flavor_name"], one["revision_end"]) for one in history] == [("small", changed["revision_start"]), ("large", None)]
    assert telemetry.ask("GET", path, headers={"if-none-match": headers["ETag"]})[0] == 304
    assert telemetry.ask("PATCH", path, {"flavor_name": "x"}, headers={"if-match": '"other"'})[0] == 412
    assert telemetry.ask("PATCH", path, {"ended_at": "1999-01-01"})[0] == 400
    assert "flavor_name" not in telemetry.get(f"/v1/resource/generic/{id}")
    assert len(telemetry.get("/v1/resource/instance?history=true")) == 2


def test_a_name_becomes_an_id_that_is_the_maker_s_own(telemetry: Telemetry) -> None:
    first, second = make(telemetry, "web", "generic"), make(telemetry, "web", "generic", "other")
    assert first != second and telemetry.get("/v1/resource/generic/web")["id"] == first
    assert telemetry.ask("POST", "/v1/resource/generic", {"id": "web"})[0] == 409
    assert telemetry.ask("POST", "/v1/resource/generic", {"id": "a/b"})[0] == 400


QUERIES: list[tuple[Any, set[str]]] = [
    ({"=": {"flavor_name": "small"}}, {"a", "b"}), ({"like": {"display_name": "%a%"}}, {"a", "ca"}),
    ({"in": {"display_name": ["a", "b"]}}, {"a", "b"}),
    ({"and": [{"=": {"flavor_name": "small"}}, {"not": {"=": {"display_name": "a"}}}]}, {"b"}), ({"=": {"host": None}}, {"b", "ca"}),
    ({"!=": {"host": "h1"}}, {"b", "ca"}), ({">": {"launched_at": "2026-01-01"}}, {"ca"}), ({}, {"a", "b", "ca"}),
    ("flavor_name = small and display_name != 'a'", {"b"}), ("started_at > '2001-01-01'", {"a", "b", "ca"}), ("created_by_user_id = u1",
                                                                                                              {"a", "b", "ca"}),
]


@pytest.mark.parametrize("query,found", QUERIES)
def test_resources_are_found_by_attributes(telemetry: Telemetry, query: Any, found: set[str]) -> None:
    make(telemetry, "1", display_name="a", flavor_name="small", host="h1", launched_at="2025-01-01")
    make(telemetry, "2", display_name="b", flavor_name="small")
    make(telemetry, "3", display_name="ca", flavor_name="large", launched_at="2026-06-01")
    make(telemetry, "4", display_name="a", flavor_name="small", who="other")
    if isinstance(query, str): _, rows, _ = telemetry.ask("POST", "/v1/search/resource/instance?filter=" + query.replace(" ", "%20"))
    else: rows = telemetry.post("/v1/search/resource/instance", query)
    assert {row["display_name"] for row in rows} == found


@pytest.mark.parametrize("query", [{"=": {"wat": 1}}, {"=": {"started_at": "never"}}, {"wat": {}}, [], {"=": {"a'b\"$": 1}},
                                   {"like": {"id": "x"}}])
def test_a_query_that_is_none_is_refused(telemetry: Telemetry, query: Any) -> None:
    assert telemetry.ask("POST", "/v1/search/resource/instance", query)[0] == 400


def test_what_belongs_to_a_project_is_seen_by_it_alone(telemetry: Telemetry) -> None:
    id = make(telemetry, "x", "generic", "admin", project_id=OTHER_PROJECT, metrics={"load": {}})
    assert [row["id"] for row in telemetry.get("/v1/resource/generic", who="other")] == [id]
    assert telemetry.get("/v1/resource/generic") == [] and telemetry.ask("GET", f"/v1/resource/generic/{id}")[0] == 403
    assert telemetry.get(f"/v1/resource/generic/{id}/metric/load/measures", who="other") == []
    assert telemetry.ask("GET", f"/v1/resource/generic/{id}/metric/load/measures")[0] == 403
    assert telemetry.ask("PATCH", f"/v1/resource/generic/{id}", {"user_id": "me"}, who="other")[0] == 403
    assert [row["name"] for row in telemetry.get("/v1/metric", who="other")] == ["load"] and telemetry.get("/v1/metric") == []
    assert telemetry.ask("DELETE", "/v1/resource/generic", {"=": {"project_id": OTHER_PROJECT}}, who="other")[0] == 403
    assert telemetry.ask("DELETE", "/v1/resource/generic", {}, who="admin")[0] == 400
    assert telemetry.ask("DELETE", "/v1/resource/generic", {"=": {"project_id": OTHER_PROJECT}}, who="admin")[1] == {"deleted": 1}


def test_pages_are_disjoint_and_linked(telemetry: Telemetry) -> None:
    ids = [make(telemetry, str(number), "generic") for number in range(5)]
    _, first, headers = telemetry.ask("GET", "/v1/resource/generic?limit=3&sort=started_at:desc")
    _, rest, _ = telemetry.ask("GET", headers["Link"].split("<http://cloud/metric")[1].split(">")[0])
    assert [row["id"] for row in first + rest] == ids[::-1]
    for query in ("limit=0", "limit=x", "sort=wat:asc", "marker=nobody", "sort=id:sideways"):
        assert telemetry.ask("GET", f"/v1/resource/generic?{query}")[0] == 400


def test_types_have_attributes_that_are_checked(telemetry: Telemetry) -> None:
    kind = {"name": "pump", "attributes": {"rpm": {"type": "number", "min": 0, "max": 9}, "note": {"type": "string", "required": False}}}
    assert telemetry.ask("POST", "/v1/resource_type", kind)[0] == 403
    telemetry.post("/v1/resource_type", kind, who="admin")
    assert telemetry.ask("POST", "/v1/resource/pump", {"id": "p"})[1]["description"]["detail"] == ["rpm"]
    for wrong in ({"rpm": 10}, {"rpm": "5"}, {"rpm": 5, "wat": 1}, {"rpm": 5, "note": "x" * 300}):
        assert telemetry.ask("POST", "/v1/resource/pump", {"id": "p", **wrong})[0] == 400
    make(telemetry, "p", "pump", rpm=5)
    patch = [{"op": "add", "path": "/attributes/site", "value": {"type": "string", "required": True, "options": {"fill": "north"}}},
             {"op": "remove", "path": "/attributes/note"}]
    assert telemetry.ask("PATCH", "/v1/resource_type/pump", patch, who="admin",
                         headers={"content-type": "application/json-patch+json"})[0] == 200
    assert telemetry.get("/v1/resource/pump/p")["site"] == "north"
    assert telemetry.ask("DELETE", "/v1/resource_type/pump", who="admin")[0] == 400  # in use
    assert telemetry.ask("POST", "/v1/resource_type", {"name": "x", "attributes": {"a'b": {"type": "string"}}}, who="admin")[0] == 400


def test_aggregates_over_resources_by_group(telemetry: Telemetry) -> None:
    telemetry.policy(60)
    for id, host, value in (("1", "h1", 10), ("2", "h1", 30), ("3", "h2", 5)):
        make(telemetry, id, host=host, metrics={"cpu": {"archive_policy_name": "fine"}})
        telemetry.post(f"/v1/resource/instance/{id}/metric/cpu/measures", [{"timestamp": 60, "value": value}])
    body = {"operations": "(aggregate mean (metric cpu mean))", "resource_type": "instance", "search": "host like 'h%'"}
    assert telemetry.post("/v1/aggregates", body)["measures"]["aggregated"] == [["1970-01-01T00:01:00+00:00", 60.0, 15.0]]
    groups = telemetry.post("/v1/aggregates?groupby=host", body)
    assert {one["group"]["host"]: one["measures"]["measures"]["aggregated"][0][2] for one in groups} == {"h1": 20.0, "h2": 5.0}
    older = telemetry.post("/v1/aggregation/resource/instance/metric/cpu?reaggregation=sum&groupby=host", {"=": {"host": "h1"}})
    assert older == [{"group": {"host": "h1"}, "measures": [["1970-01-01T00:01:00+00:00", 60.0, 40.0]]}]
    assert telemetry.ask("POST", "/v1/aggregates", body, who="other")[0] == 404


@pytest.mark.parametrize("path,body", [
    ("/v1/resource_type", {"name": "x", "attributes": {"a": {"type": [{}]}}}),
    ("/v1/resource_type", {"name": "x", "attributes": {"id": {"type": "bool"}}}),
    ("/v1/archive_policy", {"name": "x", "definition": [{"granularity": 1, "points": 10**30}]}),
    ("/v1/archive_policy", {"name": "x", "definition": [{"granularity": 1, "points": 5, "timespan": 6}]}),
    ("/v1/archive_policy", {"name": "x", "definition": [{"granularity": 1}, {"granularity": "1s"}]}),
    ("/v1/archive_policy", {"name": "x", "definition": []}),
    ("/v1/aggregates", {"operations": ["aggregate", {}, ["metric", "a", "mean"]]}),
    ("/v1/aggregates", {"operations": "1"}), ("/v1/aggregates", None),
    ("/v1/aggregates", {"operations": "(metric a mean)", "resource_type": "nothing", "search": {}})])
def test_nonsense_gets_the_reason(telemetry: Telemetry, path: str, body: Any) -> None:
    status, found, _ = telemetry.ask("POST", path, body, who="admin")
    assert status == 400 and found["description"] and found["error_message"]["faultstring"]
