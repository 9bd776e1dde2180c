"""Measures: written, merged, read."""
from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from sqlalchemy import func, select
from tests.requests.telemetry.conftest import Telemetry, at

from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resources.tables import Bucket, Kept


def measures(*pairs: tuple[float, float]) -> list[dict[str, object]]:
    return [{"timestamp": at(seconds), "value": value} for seconds, value in pairs]


def values(telemetry: Telemetry, id: str, query: str) -> list[float]:
    return [value for _, _, value in telemetry.get(f"/v1/metric/{id}/measures?{query}")]


def test_what_was_written_can_be_read_at_once(telemetry: Telemetry) -> None:
    telemetry.policy(60, 10)
    id = telemetry.metric()
    assert telemetry.ask("POST", f"/v1/metric/{id}/measures", measures((0, 1), (5, 3), (12, 8)))[0] == 202
    telemetry.post(f"/v1/metric/{id}/measures", measures((70, 4)))
    assert telemetry.get(f"/v1/metric/{id}/measures") == [
        ["2026-01-01T00:00:00+00:00", 60.0, 4.0], ["2026-01-01T00:01:00+00:00", 60.0, 4.0],
        ["2026-01-01T00:00:00+00:00", 10.0, 2.0], ["2026-01-01T00:00:10+00:00", 10.0, 8.0], ["2026-01-01T00:01:10+00:00", 10.0, 4.0]]
    assert values(telemetry, id, f"start={at(10)}&stop={at(70)}&granularity=10") == [8.0]
    assert values(telemetry, id, "granularity=60&aggregation=max") == [8.0, 4.0]


def test_batches_in_any_order_are_merged_in_the_database_as_in_memory(telemetry: Telemetry) -> None:
    telemetry.policy(60, 10, methods=["mean", "std", "min", "max", "sum", "count", "first", "last", "median", "rate:mean"], back_window=1)
    telemetry.policy(60, 10, name="merging", methods=["mean", "std", "min", "max", "sum", "count", "first", "last", "rate:mean"])
    chance = random.Random(7)
    samples = [(float(second), chance.uniform(-50, 50)) for second in range(0, 60, 3)]
    exact, merging = telemetry.metric("a"), telemetry.metric("b", "merging")
    shuffled = chance.sample(samples, len(samples))
    for first in range(0, len(samples), 4):
        telemetry.post("/v1/batch/metrics/measures", {exact: measures(*shuffled[first:first + 4]),
                                                      merging: measures(*samples[first:first + 4])})
    changes = [late[1] - early[1] for early, late in pairwise(samples)]
    numbers = [value for _, value in samples]
    for method, expected in (("mean", statistics.fmean(numbers)), ("std", statistics.stdev(numbers)), ("min", min(numbers)),
                             ("max", max(numbers)), ("sum", sum(numbers)), ("count", 20), ("first", numbers[0]), ("last", numbers[-1]),
                             ("rate:mean", statistics.fmean(changes))):
        for id in (exact, merging): assert values(telemetry, id,
                                                  f"granularity=60&aggregation={method}") == [pytest.approx(expected)], method
    assert values(telemetry, exact, "granularity=60&aggregation=median") == [pytest.approx(statistics.median(numbers))]


def test_a_measure_of_the_same_instant_takes_the_other_s_place(telemetry: Telemetry) -> None:
    telemetry.policy(60)
    id = telemetry.metric()
    for value in (5, 7): telemetry.post(f"/v1/metric/{id}/measures", measures((3, value)))
    assert values(telemetry, id, "aggregation=sum") == [7.0] and values(telemetry, id, "aggregation=count") == [1]


def test_storage_is_bounded_by_the_policy(telemetry: Telemetry) -> None:
    telemetry.policy((1, 60), (10, 600), methods=["mean", "rate:mean"])
    id = telemetry.metric()
    for first in range(0, 3000, 50): telemetry.post(f"/v1/metric/{id}/measures", measures(*((s, s) for s in range(first, first + 50, 2))))
    assert len(values(telemetry, id, "granularity=1")) == 30 and len(values(telemetry, id, "granularity=10")) == 60
    with telemetry.application.database.read() as db:
        kept = {granularity: n for granularity, n in db.execute(select(Bucket.granularity, func.count()).group_by(Bucket.granularity))}
        samples = db.scalar(select(func.count()).select_from(Kept))
    assert kept[1.0] <= 2 * (60 + 50) and kept[10.0] <= 2 * 60 * 17 / 16 + 2  # of the values and of their changes
    assert samples is not None and samples <= 20


def test_late_measures_count_within_the_back_window_only(telemetry: Telemetry) -> None:
    telemetry.policy(10, back_window=2)
    id = telemetry.metric()
    telemetry.post(f"/v1/metric/{id}/measures", measures((100, 1)))
    telemetry.post(f"/v1/metric/{id}/measures", measures((85, 2), (70, 3)))
    assert [value for _, _, value in telemetry.get(f"/v1/metric/{id}/measures")] == [2.0, 1.0]


@pytest.mark.parametrize("body", [None, {}, [1], [{"timestamp": "never", "value": 1}], [{"timestamp": 1, "value": "x"}], [{"value": 1}],
                                  [{"timestamp": 1, "value": "nan"}], [{"timestamp": 1e300, "value": 1}], [{"timestamp": 1}]])
def test_what_is_no_measure_is_refused(telemetry: Telemetry, body: object) -> None:
    telemetry.policy(10)
    status, found, _ = telemetry.ask("POST", f"/v1/metric/{telemetry.metric()}/measures", body)
    assert status == 400 and found["description"]["cause"] in ("Invalid input", "Unable to decode body")


def test_batch_by_resource_and_name_makes_metrics(telemetry: Telemetry) -> None:
    telemetry.policy(10)
    thing = telemetry.post("/v1/resource/generic", {"id": "my thing"})["id"]
    body = {"my thing": {"load": measures((1, 5)), "heat": {"measures": measures((1, 9)), "archive_policy_name": "fine", "unit": "C"}}}
    status, found, _ = telemetry.ask("POST", "/v1/batch/resources/metrics/measures", body)
    assert status == 400 and found["description"] == f"Unknown metrics: {thing}/heat, {thing}/load"
    telemetry.post("/v1/batch/resources/metrics/measures?create_metrics=true", body)
    assert telemetry.get("/v1/resource/generic/my%20thing/metric/heat/measures")[0][2] == 9.0
    assert telemetry.get("/v1/resource/generic/my%20thing/metric/load")["archive_policy"]["name"] == "low"
    status, found, _ = telemetry.ask("POST", "/v1/batch/resources/metrics/measures?create_metrics=true", {"nowhere": body["my thing"]})
    assert status == 400 and found["description"]["cause"] == "Unknown resources"


def test_values_are_searched(telemetry: Telemetry) -> None:
    telemetry.policy(10)
    id = telemetry.metric()
    telemetry.post(f"/v1/metric/{id}/measures", measures((0, 12), (10, 55), (20, 70)))
    found = telemetry.post(f"/v1/search/metric?metric_id={id}", {"and": [{">=": 50}, {"<": 60}]})
    assert [value for _, _, value in found[id]] == [55.0]


def test_only_its_own_and_its_project_s_metrics_exist_for_a_caller(telemetry: Telemetry) -> None:
    telemetry.policy(10)
    id = telemetry.metric()
    for who, read, write in (("member", 200, 202), ("reader", 200, 403), ("other", 403, 403), ("admin", 200, 202)):
        assert telemetry.ask("GET", f"/v1/metric/{id}/measures", who=who)[0] == read
        assert telemetry.ask("POST", f"/v1/metric/{id}/measures", measures((1, 1)), who=who)[0] == write
        assert len(telemetry.get("/v1/metric", who=who)) == (1 if read == 200 else 0)
    assert telemetry.ask("DELETE", f"/v1/metric/{id}", who="other")[0] == 403
    assert telemetry.ask("DELETE", f"/v1/metric/{id}")[0] == 204 and telemetry.ask("GET", f"/v1/metric/{id}")[0] == 404
    with telemetry.application.database.read() as db: assert not db.scalar(select(func.count()).select_from(Bucket))


def test_nobody_reads_more_than_memory_holds(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "MOST_READ", 20)
    telemetry.policy(60, 10)
    id = telemetry.metric()
    telemetry.post(f"/v1/metric/{id}/measures", measures(*((10 * n, n) for n in range(30))))
    status, body, _ = telemetry.ask("GET", f"/v1/metric/{id}/measures")
    assert status == 400 and "More than 20 measures" in str(body)
    assert len(values(telemetry, id, f"granularity=10&start={at(100)}")) == 20
