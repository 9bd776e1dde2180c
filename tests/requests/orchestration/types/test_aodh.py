"""Alarms as resources: made, changed in place, switched off and on, ended."""
from __future__ import annotations

from typing import Any

import pytest
from tests.requests.orchestration.types.conftest import Bench

from pilvi.orchestration.types import type_of
from pilvi.orchestration.types.interface import PropertyInvalid

THRESHOLD = {"granularity": 60, "evaluation_periods": 2, "comparison_operator": "gt", "threshold": 5, "aggregation_method": "mean"}
METRIC = "00000000-0000-0000-0000-000000000001"
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "GnocchiResourcesAlarm": ({"metric": "cpu", "resource_id": METRIC, "resource_type": "instance", **THRESHOLD}, {"threshold": 7}),
    "GnocchiAggregationByMetricsAlarm": ({"metrics": [METRIC], **THRESHOLD}, {"threshold": 7}),
    "GnocchiAggregationByResourcesAlarm": (
        {"metric": "cpu", "query": '{"=": {"server_group": "x"}}', "resource_type": "instance", **THRESHOLD}, {"evaluation_periods": 3}),
    "EventAlarm": ({"event_type": "compute.instance.*", "query": [{"field": "traits.state", "op": "eq", "value": "error"}]},
                   {"event_type": "volume.*"}),
    "CompositeAlarm": ({"composite_rule": {"operator": "or", "rules": [
        {"type": "gnocchi_resources_threshold", "metric": name, "resource_id": METRIC, "resource_type": "instance", "threshold": 1,
         "aggregation_method": "mean", "granularity": 60} for name in ("cpu", "memory.usage")]}},
        {"severity": "critical"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_alarm(demo: Bench, kind: str) -> None:
    name, (given, change) = f"OS::Aodh::{kind}", KINDS[kind]
    work = demo.make(name, "watch", **given, alarm_actions=["http://8.8.8.8/"])
    shown = demo.get(name, work, "show")
    assert (shown["name"], shown["enabled"], shown["repeat_actions"]) == (work.physical_name, True, True)
    assert shown["alarm_actions"] == ["http://8.8.8.8/"]
    type_of(name).suspend(work)
    assert demo.get(name, work, "show")["enabled"] is False
    type_of(name).resume(work)
    work = demo.change(name, work, **{**given, **change}, description="words", enabled=True)
    shown = demo.get(name, work, "show")
    assert shown["description"] == "words" and shown["alarm_actions"] == []
    where = shown if set(change) <= set(shown) else shown[f"{shown['type']}_rule"]
    assert {key: where[key] for key in change} == change
    work.physical_id, again = None, work.physical_id
    work.again = True
    type_of(name).create(demo.work(name, "other", given))
    demo.engine.works.clear()
    type_of(name).create(work)
    assert work.physical_id == again
    for one in demo.ask("telemetry", "GET", "/v2/alarms"): demo.ask("telemetry", "DELETE", f"/v2/alarms/{one['alarm_id']}")
    demo.end(name, work)
    assert demo.gone(name, work)


def test_a_composite_needs_two_rules(demo: Bench) -> None:
    with pytest.raises(PropertyInvalid): demo.work("OS::Aodh::CompositeAlarm", "x", {"composite_rule": {"operator": "or", "rules": [{}]}})
