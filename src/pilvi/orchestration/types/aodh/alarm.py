"""OS::Aodh::*: alarms on metrics and events, whose actions are URLs: a scaling policy's, for one.

Source: Template Guide, "OS::Aodh::*"; Alarming API v2 (Aodh).
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues, Length, Range
from pilvi.orchestration.types.interface import SHOW, Property, Work, boolean, integer, list_of, map_of, number, string
from pilvi.orchestration.types.rest import RestResource

OPERATORS = (AllowedValues(("le", "ge", "eq", "lt", "gt", "ne")),)
ACTIONS = list_of(None, "The URLs that are told.", update=True)
EVERY: dict[str, Property] = {
    "description": string("What it is for.", update=True),
    "enabled": boolean("Is it watched?", default=True, update=True),
    "alarm_actions": ACTIONS,
    "ok_actions": ACTIONS,
    "insufficient_data_actions": ACTIONS,
    "repeat_actions": boolean("Are they told again at each look, not only when the state changes?", default=True, update=True),
    "severity": string("How bad it is.", default="low", update=True, constraints=(AllowedValues(("low", "moderate", "critical")),),
                       since="5.0.0"),
    "time_constraints": list_of(map_of({
        "name": string("Its name.", required=True),
        "start": string("When it begins, as cron writes it.", required=True),
        "description": string("What it is for."),
        "duration": integer("How many seconds it lasts.", required=True, constraints=(Range(0),)),
        "timezone": string("The time zone of the start."),
    }), "When it is watched.", default=[], since="5.0.0"),
}
THRESHOLD: dict[str, Property] = {
    "comparison_operator": string("How it is compared with the threshold.", update=True, constraints=OPERATORS),
    "evaluation_periods": integer("How many periods it must hold.", update=True),
    "aggregation_method": string("How a period's measures become one value.", update=True),
    "granularity": integer("How many seconds a period lasts.", update=True),
    "threshold": number("The value.", required=True, update=True),
}
METRIC = string("The metric's name.", required=True, update=True)
RESOURCE_TYPE = string("The kind of resource, instance for servers.", required=True, update=True)


class _Alarm(RestResource):
    """`kind`: the API's word for the type; what is not in EVERY is its rule. A PUT replaces the whole alarm, so updates say everything."""
    since = "2015.1"
    service = requires_service = "telemetry"
    path, singular = "/v2/alarms", ""
    kind: str = ""
    attributes = {"show": SHOW}

    def body(self, work: Work) -> dict[str, Any]:
        return self._whole(work, work.properties)

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return self._whole(work, {**work.properties, **changes})

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        query = {"q.field": "name", "q.op": "eq", "q.value": body["name"]}
        found = work.ask(self.service, "GET", self.path, **query)
        return next((one for one in found if not work.engine or not work.engine.known(one["alarm_id"])), None)

    def suspend(self, work: Work) -> None:
        work.ask(self.service, "PUT", self.item(work), self._whole(work, {**work.properties, "enabled": False}))

    def resume(self, work: Work) -> None:
        work.ask(self.service, "PUT", self.item(work), self._whole(work, {**work.properties, "enabled": True}))

    def id_of(self, made: Mapping[str, Any]) -> str:
        return str(made["alarm_id"])

    def rule(self, properties: Mapping[str, Any]) -> Any:
        """What is watched, as the API takes it."""
        return {name: properties[name] for name in self.properties if name not in EVERY and properties[name] is not None}

    def _whole(self, work: Work, properties: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: properties[name] for name in EVERY if properties[name] is not None}
        told["time_constraints"] = [{name: value for name, value in one.items() if value is not None} for one in told["time_constraints"]]
        return {**told, "name": work.physical_name, "type": self.kind, f"{self.kind}_rule": self.rule(properties)}


class GnocchiResourcesAlarm(_Alarm):
    """One resource's metric."""
    name = "OS::Aodh::GnocchiResourcesAlarm"
    description = "An alarm on one resource's metric."
    kind = "gnocchi_resources_threshold"
    properties = {"metric": METRIC, "resource_id": string("The resource.", required=True, update=True), "resource_type": RESOURCE_TYPE,
                  **THRESHOLD, **EVERY}


class GnocchiAggregationByMetricsAlarm(_Alarm):
    """Several metrics together."""
    name = "OS::Aodh::GnocchiAggregationByMetricsAlarm"
    description = "An alarm on several metrics together."
    kind = "gnocchi_aggregation_by_metrics_threshold"
    properties = {"metrics": list_of(None, "The ids of the metrics.", required=True, update=True), **THRESHOLD, **EVERY}


class GnocchiAggregationByResourcesAlarm(_Alarm):
    """The metric of all resources that a query finds: of a scaling group's servers, for one."""
    name = "OS::Aodh::GnocchiAggregationByResourcesAlarm"
    description = "An alarm on the metric of all resources that a query finds."
    kind = "gnocchi_aggregation_by_resources_threshold"
    properties = {"metric": METRIC, "query": string("Which resources, as JSON.", required=True, update=True),
                  "resource_type": RESOURCE_TYPE, **THRESHOLD, **EVERY}


class EventAlarm(_Alarm):
    """Something happened."""
    name = "OS::Aodh::EventAlarm"
    description = "An alarm on events of the services."
    since = "8.0.0"
    kind = "event"
    properties = {
        "event_type": string("Its type; * stands for any text.", default="*", update=True),
        "query": list_of(map_of({
            "field": string("What of the event."),
            "type": string("What kind of value that is.", default="string",
                           constraints=(AllowedValues(("integer", "float", "string", "boolean", "datetime")),)),
            "op": string("How it is compared.", constraints=OPERATORS),
            "value": string("With what."),
        }), "Which of them.", update=True),
        **EVERY,
    }

    def rule(self, properties: Mapping[str, Any]) -> Any:
        found = super().rule(properties)
        query = [{name: value for name, value in one.items() if value is not None} for one in found.pop("query", [])]
        return found | ({"query": query} if query else {})


class CompositeAlarm(_Alarm):
    """Several rules joined by and/or."""
    name = "OS::Aodh::CompositeAlarm"
    description = "An alarm on several rules together."
    since = "8.0.0"
    kind = "composite"
    properties = {
        "composite_rule": map_of({
            "operator": string("Must one of the rules hold, or all?", required=True, update=True,
                               constraints=(AllowedValues(("or", "and")),)),
            "rules": list_of(None, "The rules; each names its type, or is a map {and: [...]} or {or: [...]}.", required=True, update=True,
                             constraints=(Length(2),)),
        }, "The rules.", required=True, update=True),
        **EVERY,
    }

    def rule(self, properties: Mapping[str, Any]) -> Any:
        return {properties["composite_rule"]["operator"]: properties["composite_rule"]["rules"]}
