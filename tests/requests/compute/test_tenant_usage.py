"""Usage reports: of one project and of all, cut at the period, page by page; and rating's intervals of the same servers."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.cloud_in_process import Cloud, running_cloud

from pilvi.compute.resources.server import Server
from pilvi.core import clock, events
from pilvi.core.events import Event
from pilvi.telemetry.rating import worker

DAY = 86400.0
BEGIN = clock.parse("2025-11-01T00:00:00Z")
PERIOD = "start=2025-11-01T00:00:00&end=2025-11-11T00:00:00"
FLAVOR = {"name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 20, "ephemeral": 0, "swap": 0, "extra_specs": {}}
LIVES = {"one": [(-5.0, 2.0), (1.0, 4.0), (8.0, None), (-9.0, -1.0), (11.0, None)], "two": [(0.0, 10.0)]}
"""{project: when, in days after the begin, its servers came and went}"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running_cloud() as made:
        projects = {one["name"]: one["id"] for one in made.ask("root", "identity", "GET", "/v3/projects").body["projects"]}
        made.tokens |= {f"id of {name}": projects[name] for name in ("one", "two")}
        with made.applications["compute"].database.write() as db:
            for project, lives in LIVES.items():
                for came, went in lives:
                    db.add(Server(id=f"{project}{came}", name="s", project_id=projects[project], user_id="u", flavor=FLAVOR, flavor_id="1",
                                  state="deleted" if went else "active", launched_at=BEGIN + came * DAY,
                                  deleted_at=went and BEGIN + went * DAY))
        yield made


def get(cloud: Cloud, path: str, who: str = "member", version: str = "2.1") -> Any:
    reply = cloud.ask(who, "compute", "GET", f"/v2.1/os-simple-tenant-usage{path}", headers={"openstack-api-version": f"compute {version}"})
    assert reply.status == 200, reply.body
    return reply.body


def test_a_project_sees_its_hours(cloud: Cloud) -> None:
    project = cloud.tokens["id of one"]
    found = get(cloud, f"/{project}?{PERIOD}")["tenant_usage"]
    assert (found["total_hours"], found["total_vcpus_usage"], found["total_memory_mb_usage"]) == (7 * 24, 14 * 24, 7 * 24 * 2048)
    assert [(one["instance_id"], one["hours"] / 24, one["state"]) for one in found["server_usages"]] == [
        ("one-5.0", 2, "terminated"), ("one1.0", 3, "terminated"), ("one8.0", 2, "active")]
    assert get(cloud, f"/{project}?start=2020-01-01T00:00:00&end=2020-02-01T00:00:00")["tenant_usage"] == {}
    assert cloud.ask("member", "compute", "GET", f"/v2.1/os-simple-tenant-usage/{cloud.tokens['id of two']}").status == 403


def test_an_administrator_sees_all(cloud: Cloud) -> None:
    found = {one["tenant_id"]: one for one in get(cloud, f"?{PERIOD}", "root")["tenant_usages"]}
    assert {found[cloud.tokens[f"id of {name}"]]["total_hours"] for name in ("one", "two")} == {7 * 24, 10 * 24}
    assert "server_usages" not in next(iter(found.values()))
    assert "server_usages" in get(cloud, f"?{PERIOD}&detailed=1", "root")["tenant_usages"][0]
    assert cloud.ask("member", "compute", "GET", "/v2.1/os-simple-tenant-usage").status == 403


def test_pages_since_2_40(cloud: Cloud) -> None:
    first = get(cloud, f"?{PERIOD}&detailed=1&limit=3", "root", "2.40")
    marker = first["tenant_usages_links"][0]["href"].rpartition("marker=")[2]
    rest = get(cloud, f"?{PERIOD}&detailed=1&limit=3&marker={marker}", "root", "2.40")
    ids = [one["instance_id"] for page in (first, rest) for usage in page["tenant_usages"] for one in usage["server_usages"]]
    assert sorted(ids) == ["one-5.0", "one1.0", "one8.0", "two0.0"] and "tenant_usages_links" not in rest


@pytest.mark.parametrize("query", ["start=x", "end=x", "start=2025-12-01T00:00:00&end=2025-11-01T00:00:00", "limit=x", "limit=-1",
                                   "marker=nobody"])
def test_what_makes_no_sense(cloud: Cloud, query: str) -> None:
    reply = cloud.ask("root", "compute", "GET", f"/v2.1/os-simple-tenant-usage?{query}", headers={"openstack-api-version": "compute 2.40"})
    assert reply.status == 400, reply.body


def test_the_bill_says_the_same(cloud: Cloud) -> None:
    """From the events that tell of these rows."""
    with cloud.applications["compute"].database.read() as db:
        told = [(row.id, row.project_id, events.told(row)) for row in db.query(Server)]
    heard = []
    for number, (id, project, payload) in enumerate(told):
        made = payload | {"deleted_at": None, "state": "active"}
        heard.append(Event("compute", 2 * number, "compute.instance.create.end", payload["launched_at"], id, project, None, None, made))
        if payload["deleted_at"]:
            ended = payload["deleted_at"]
            heard.append(Event("compute", 2 * number + 1, "compute.instance.delete.end", ended, id, project, None, None, payload))
    worker.on_events(cloud.applications["telemetry"], heard)
    for name in ("one", "two"):
        project = cloud.tokens[f"id of {name}"]
        reply = cloud.ask("root", "telemetry", "GET", f"/v1/projects/{project}/usage?begin=2025-11-01T00:00:00Z&end=2025-11-11T00:00:00Z")
        mine = {one["resource_id"]: clock.parse(one["end"]) - clock.parse(one["begin"]) for one in reply.body["usage"]}
        theirs = get(cloud, f"/{project}?{PERIOD}", "root")["tenant_usage"]["server_usages"]
        assert mine == {one["instance_id"]: one["hours"] * 3600 for one in theirs}
