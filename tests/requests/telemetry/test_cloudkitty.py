"""CloudKitty's read calls say what the invoice says."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.requests.telemetry.alarm_cloud import World, world_in
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT
from tests.requests.telemetry.test_invoice import DAY, LIFE, NOVEMBER, PRICES, volume

from pilvi.telemetry.config import Config
from pilvi.telemetry.rating import worker

PERIOD = "begin=2025-11-01T00:00:00Z&end=2025-12-01T00:00:00Z"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server for 8.64 in project one, volumes for 14.4 in one and 4.56 in the other."""
    with world_in(tmp_path, Config(prices=PRICES)) as made:
        worker.on_events(made.app, LIFE)
        worker.on_events(made.app, [volume(1, "create.end", NOVEMBER + DAY, 60), volume(2, "transfer.accept.end", NOVEMBER + 11 * DAY, 10,
                                                                                       project=OTHER_PROJECT)])
        yield made


def get(world: World, path: str, who: str = "member") -> Any:
    code, body = world.ask("GET", path, who=who)
    assert code == 200, body
    return body


def test_summaries(world: World) -> None:
    whole = get(world, f"/v2/summary?{PERIOD}")
    assert whole == {"total": 1, "columns": ["begin", "end", "qty", "rate"],
                     "results": [["2025-11-01T00:00:00Z", "2025-12-01T00:00:00Z", 864 + 96 + 14400, 23.04]]}
    by_type = get(world, f"/v2/summary?{PERIOD}&groupby=type,state&response_format=object")["results"]
    assert [(row["type"], row["state"], row["rate"]) for row in by_type] == [
        ("server.vcpu", "active", 8.64), ("server.vcpu", "stopped", 0), ("volume.gib", "", 14.4)]
    days = get(world, f"/v2/summary?{PERIOD}&groupby=time-d,type&filters=type:server.vcpu")
    assert days["total"] == 20 and {row[3] for row in days["results"]} == {0.48, 0.0} and days["results"][9][0] == "2025-11-10T00:00:00Z"
    assert [row[3] for row in get(world, "/v2/summary?begin=2025-10-01T00:00:00Z&end=2025-12-01T00:00:00Z&groupby=time-m")["results"]] == [
        0.48, 23.04]
    assert get(world, f"/v2/summary?{PERIOD}&groupby=type&limit=1&offset=1")["results"][0][4] == "volume.gib"


def test_whose_bills(world: World) -> None:
    everybody = get(world, f"/v2/summary?{PERIOD}&groupby=project_id", "admin")["results"]
    assert [(row[4], row[3]) for row in everybody] == [(PROJECT, 23.04), (OTHER_PROJECT, 4.56)]
    assert get(world, f"/v2/summary?{PERIOD}&filters=project_id:{OTHER_PROJECT}", "admin")["results"][0][3] == 4.56
    for path in (f"/v2/summary?{PERIOD}&filters=project_id:{PROJECT}", f"/v1/storage/dataframes?{PERIOD}&tenant_id={PROJECT}",
                 f"/v1/report/total?{PERIOD}&tenant_id={PROJECT}", f"/v2/dataframes?{PERIOD}&filters=project_id:{PROJECT}"):
        assert world.ask("GET", path, who="other")[0] == 404
    assert get(world, f"/v1/report/total?{PERIOD}", "other") == "4.5600"
    assert get(world, f"/v1/report/total?{PERIOD}", "admin") == "0"
    assert get(world, f"/v1/report/total?{PERIOD}&all_tenants=true", "admin") == "27.6000"


def test_reports_and_frames(world: World) -> None:
    assert get(world, f"/v1/report/summary?{PERIOD}")["summary"] == [{
        "begin": "2025-11-01T00:00:00Z", "end": "2025-12-01T00:00:00Z", "rate": "23.0400", "tenant_id": "ALL", "res_type": "ALL"}]
    by_type = get(world, f"/v1/report/summary?{PERIOD}&groupby=res_type,tenant_id")["summary"]
    assert [(row["res_type"], row["tenant_id"], row["rate"]) for row in by_type] == [
        ("server.vcpu", PROJECT, "8.6400"), ("volume.gib", PROJECT, "14.4000")]
    frames = get(world, f"/v1/storage/dataframes?{PERIOD}&resource_type=volume.gib")["dataframes"]
    kept = [frame["resources"][0] for frame in frames]
    assert [(one["volume"], one["rating"], one["desc"]["id"]) for one in kept] == [("14400.000000", "14.4000", "v1")]
    points = get(world, f"/v2/dataframes?{PERIOD}&limit=2")
    assert points["total"] == 3 and points["dataframes"][0]["usage"]["server.vcpu"][0]["rating"] == {"price": 8.64}


@pytest.mark.parametrize("path", ["/v2/summary?groupby=color", "/v2/summary?filters=color:red", "/v2/summary?begin=x",
                                  "/v2/summary?limit=x",
                                  "/v2/summary?begin=2025-11-02T00:00:00Z&end=2025-11-01T00:00:00Z", "/v1/report/summary?groupby=id",
                                  "/v2/summary?begin=2020-01-01T00:00:00Z", "/v2/dataframes?offset=-1"])
def test_what_makes_no_sense(world: World, path: str) -> None:
    assert world.ask("GET", path)[0] == 400
