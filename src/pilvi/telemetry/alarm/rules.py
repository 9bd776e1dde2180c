"""What an alarm may be asked to watch: the schemas of the rules of each type, with their defaults.

Source: Alarming API v2 (Aodh), "Alarm rules"; Gnocchi, "Aggregation methods".
"""
from __future__ import annotations

from typing import Any

import msgspec

from pilvi.core.errors import Invalid
from pilvi.core.http.faults import Schema
from pilvi.telemetry import archive, search
from pilvi.telemetry.alarm import schedule
from pilvi.telemetry.alarm.evaluate import COMPARATORS, leaves

MOST_RULES, DEEPEST = 50, 10
"""Of a composite rule."""
TRAIT_TYPES = ("string", "integer", "float", "boolean", "datetime", "")
OPERATORS = tuple(COMPARATORS)
TEXT = {"type": "string", "minLength": 1, "maxLength": 4096}

_THRESHOLD: dict[str, Any] = {
    "comparison_operator": {"enum": list(OPERATORS)}, "threshold": {"type": "number"}, "aggregation_method": TEXT,
    "evaluation_periods": {"type": "integer", "minimum": 1, "maximum": 100},
    "granularity": {"type": "integer", "minimum": 1, "maximum": 3600 * 24 * 365}}
_DEFAULTS = {"comparison_operator": "eq", "evaluation_periods": 1, "granularity": 60}
_OWN: dict[str, dict[str, Any]] = {
    "gnocchi_resources_threshold": {"metric": TEXT, "resource_id": TEXT, "resource_type": TEXT},
    "gnocchi_aggregation_by_metrics_threshold": {"metrics": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1000}},
    "gnocchi_aggregation_by_resources_threshold": {"metric": TEXT, "query": {"type": "string", "maxLength": 65536},
                                                   "resource_type": TEXT}}
THRESHOLDS = tuple(_OWN)
TYPES = (*THRESHOLDS, "event", "composite")
_QUERY = {"type": "object", "required": ["field", "value"], "additionalProperties": False, "properties": {
    "field": {"type": "string", "pattern": r"^[a-zA-Z.',0-9_-]*$", "maxLength": 255}, "op": {"enum": [*OPERATORS, "", None]},
    "value": {"type": ["string", "number", "boolean"]}, "type": {"enum": [*TRAIT_TYPES, None]}}}
_SCHEMAS = {name: Schema({"type": "object", "properties": {**_THRESHOLD, **own}, "required": ["threshold", "aggregation_method", *own],
                          "additionalProperties": False}) for name, own in _OWN.items()}
_EVENT = Schema({"type": "object", "additionalProperties": False, "properties": {
    "event_type": {"type": ["string", "null"], "maxLength": 255}, "query": {"type": ["array", "null"], "items": _QUERY, "maxItems": 100}}})


class CompositeInvalid(Invalid):
    """Invalid input composite rule: {rule}, it should be a dict with an "and" or "or" as key, and the value of dict should be a list of \
basic threshold rules or sub composite rules, can be nested."""


def checked(type: str, rule: Any) -> dict[str, Any]:
    """A rule of this type with its defaults filled in. Raises Invalid."""
    if type == "composite":
        made = _composite(rule, DEEPEST)
        if len(list(leaves(made))) > MOST_RULES: raise Invalid(f"A composite rule may have {MOST_RULES} rules at most.")
        return made
    return _event(rule) if type == "event" else _threshold(type, rule)


def _threshold(type: str, rule: Any) -> dict[str, Any]:
    rule = {name: _number(name, value) for name, value in rule.items()} if isinstance(rule, dict) else rule
    _SCHEMAS[type].check(rule)
    method = rule["aggregation_method"]
    if method not in archive.METHODS:
        raise Invalid(f"aggregation_method should be in {sorted(archive.METHODS)} not {method[:80]}")
    if "query" in rule: search.checked(search_of(rule))
    return {**_DEFAULTS, **rule}


def _number(name: str, value: Any) -> Any:
    """A number that a client wrote as text, as upstream takes it."""
    if not isinstance(value, str) or name not in ("threshold", "granularity", "evaluation_periods"): return value
    try: return float(value) if name == "threshold" else int(value)
    except ValueError: return value


def search_of(rule: dict[str, Any]) -> dict[str, Any]:
    """The search for resources in a rule. Raises Invalid."""
    try: found = msgspec.json.decode(rule["query"])
    except (msgspec.DecodeError, RecursionError): found = None
    if not isinstance(found, dict):
        raise Invalid(f"Invalid input for field/attribute rule/query. Value: '{rule['query'][:80]}'. It is no JSON object.")
    return found


def _event(rule: Any) -> dict[str, Any]:
    _EVENT.check(rule)
    query = [{"field": one["field"], "op": one.get("op") or "eq", "value": _text(one["value"]), "type": one.get("type") or ""}
             for one in rule.get("query") or []]
    for one in query: value_of(one)
    return {"event_type": rule.get("event_type") or "*", "query": query}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(condition: dict[str, Any]) -> Any:
    """The value that a condition compares with, as its type says. Raises Invalid."""
    return typed(condition["value"], condition["type"] or "string")


def typed(value: Any, type: str) -> Any:
    """A trait's value as its type says. Raises Invalid."""
    try:
        if type == "integer": return int(value)
        if type == "float": return float(value)
        if type == "boolean":
            if str(value).lower() not in ("true", "false", "1", "0", "yes", "no"): raise ValueError
            return str(value).lower() in ("true", "1", "yes")
        return str(value)
    except (ValueError, OverflowError):
        raise Invalid(f"Unable to convert the value {str(value)[:80]} to the expected data type {type}.") from None


def _composite(rule: Any, depth: int) -> dict[str, Any]:
    if not isinstance(rule, dict) or not rule or depth == 0: raise CompositeInvalid(rule=str(rule)[:200])
    if len(rule) == 1 and (word := next(iter(rule))) in ("and", "or"):
        if not isinstance(rule[word], list) or not rule[word]: raise CompositeInvalid(rule=str(rule)[:200])
        return {word: [_composite(part, depth - 1) for part in rule[word]]}
    if len(rule) == 1: raise Invalid('Threshold rules should be combined with "and" or "or"')
    type = rule.get("type")
    if not type: raise Invalid("type must be set in every rule")
    if type not in _SCHEMAS:
        raise Invalid(f"Unsupported sub-rule type :{str(type)[:80]} in composite rule, should be one of: {sorted(_SCHEMAS)}")
    return {**_threshold(type, {name: value for name, value in rule.items() if name != "type"}), "type": type}


def check_constraints(constraints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Time constraints as they are kept. Raises Invalid."""
    if len({one["name"] for one in constraints}) < len(constraints):
        raise Invalid("Time constraint names must be unique for a given alarm.")
    made = []
    for one in constraints:
        try: schedule.parse(one["start"])
        except ValueError as failure:
            raise Invalid(f"Invalid input for field/attribute start. Value: '{one['start'][:80]}'. {failure}") from None
        try: schedule.zone(one.get("timezone") or "")
        except ValueError as failure: raise Invalid(str(failure)) from None
        described = one.get("description") or f"Time constraint at {one['start']} lasting for {one['duration']} seconds"
        made.append({"name": one["name"], "description": described, "start": one["start"], "duration": one["duration"],
                     "timezone": one.get("timezone") or ""})
    return made


def seconds_between_looks(type: str, rule: dict[str, Any], least: float, most: float) -> float:
    """How often a rule is worth an evaluation: as often as its statistics change, within bounds."""
    finest = min((leaf.get("granularity", most) for leaf in leaves(rule)), default=most) if type != "event" else most
    return float(min(max(finest, least), most))
