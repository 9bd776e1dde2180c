"""The bodies of the alarm API: what a request may say, and how an alarm and its history are shown.

Source: Alarming API v2 (Aodh), "Alarms". A PUT replaces the whole; what only the server sets may stand in a body and is left alone, since
clients send back what they were shown.
"""
from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http import fetch
from pilvi.core.http.faults import Schema
from pilvi.telemetry import errors
from pilvi.telemetry.alarm import rules
from pilvi.telemetry.alarm.history import moment
from pilvi.telemetry.alarm.states import ACTIONS_OF, STATES, UNKNOWN
from pilvi.telemetry.resources.alarm_tables import SEVERITIES

SCHEMES = ("http", "https", "log", "trust+http", "trust+https")
MOST_ACTIONS = 20
_ACTIONS = {"type": ["array", "null"], "maxItems": MOST_ACTIONS, "items": {"type": "string", "minLength": 1, "maxLength": 2000}}
_CONSTRAINT = {"type": "object", "required": ["name", "start", "duration"], "additionalProperties": False, "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 255}, "description": {"type": ["string", "null"], "maxLength": 2000},
    "start": {"type": "string", "maxLength": 255}, "duration": {"type": "integer", "minimum": 0, "maximum": 10**9},
    "timezone": {"type": ["string", "null"], "maxLength": 64}}}
_RULE: dict[str, Any] = {"type": ["object", "null"]}
_ANY: dict[str, Any] = {}
_SHOWN_ONLY = ("alarm_id", "timestamp", "state_timestamp", "state_reason", "evaluate_timestamp")
BODY = Schema({"type": "object", "required": ["name", "type"], "additionalProperties": False, "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 255}, "type": {"enum": list(rules.TYPES)},
    "description": {"type": ["string", "null"], "maxLength": 2000}, "enabled": {"type": ["boolean", "null"]},
    "severity": {"enum": [*SEVERITIES, None]}, "state": {"enum": [*STATES, None]}, "repeat_actions": {"type": ["boolean", "null"]},
    "time_constraints": {"type": ["array", "null"], "items": _CONSTRAINT, "maxItems": 50},
    "project_id": {"type": ["string", "null"], "maxLength": 64}, "user_id": {"type": ["string", "null"], "maxLength": 64},
    **dict.fromkeys(ACTIONS_OF.values(), _ACTIONS), **dict.fromkeys((f"{name}_rule" for name in rules.TYPES), _RULE),
    **dict.fromkeys(_SHOWN_ONLY, _ANY)}})


def values_of(call: Call, body: Any) -> dict[str, Any]:
    """The columns that a body sets, everything else at its default; `project_id` and `user_id` only if given. Raises Invalid."""
    BODY.check(body if isinstance(body, dict) else {})
    given = {name: value for name, value in body.items() if value is not None}
    type, rule = given["type"], f"{given['type']}_rule"
    told = [name for name in given if name.endswith("_rule")]
    if rule not in told: raise Invalid(f"{rule} must be set for {type} type alarm")
    if len(told) > 1: raise Invalid(f"{told[0]} and {told[1]} cannot be set at the same time")
    checked = rules.checked(type, given[rule])
    described = f"Alarm when {checked['event_type']} event occurred." if type == "event" else f"{type} alarm rule"
    values = {
        "name": given["name"], "type": type, "rule": checked, "description": given.get("description") or described,
        "enabled": given.get("enabled", True), "severity": given.get("severity", "low"), "state": given.get("state", UNKNOWN),
        "repeat_actions": given.get("repeat_actions", False),
        "time_constraints": rules.check_constraints(given.get("time_constraints", []))}
    values |= {name: _actions(call, given.get(name, [])) for name in ACTIONS_OF.values()}
    return values | {name: given[name] for name in ("project_id", "user_id") if given.get(name)}


def _actions(call: Call, actions: list[str]) -> list[str]:
    """Each once, in order. Raises Invalid for what could never be told."""
    kept = list(dict.fromkeys(actions))
    for action in kept:
        try: parts = urlsplit(action)
        except ValueError: raise Invalid(f"Unable to parse action {action[:200]}") from None
        if parts.scheme not in SCHEMES: raise Invalid(f"Unsupported action {action[:200]}")
        if parts.scheme == "log":
            if not call.is_admin: raise errors.ActionForbidden(action=action[:200])
        elif parts.scheme.startswith("trust+"):
            if "@" in parts.netloc: raise Invalid("trust URL cannot contain a trust ID.")
            fetch.check(action.removeprefix("trust+"))
        else: fetch.check(action)
    return kept


def trusted(values: dict[str, Any]) -> bool:
    """Is one of the actions to be signed in by a trust?"""
    return any(action.startswith("trust+") for name in ACTIONS_OF.values() for action in values[name])


def shown(row: Any) -> dict[str, Any]:
    """An alarm as the API shows it."""
    return {
        "alarm_id": row.id, "name": row.name, "description": row.description, "enabled": row.enabled, "type": row.type,
        "ok_actions": row.ok_actions, "alarm_actions": row.alarm_actions, "insufficient_data_actions": row.insufficient_data_actions,
        "repeat_actions": row.repeat_actions, "time_constraints": row.time_constraints, "project_id": row.project_id,
        "user_id": row.user_id, "timestamp": moment(row.timestamp), "state": row.state, "state_timestamp": moment(row.state_timestamp),
        "state_reason": row.state_reason, "severity": row.severity,
        "evaluate_timestamp": moment(row.evaluate_timestamp or row.timestamp), f"{row.type}_rule": row.rule}


def recorded(row: Any) -> dict[str, Any]:
    """An alarm as its history tells it."""
    told = {name: value for name, value in shown(row).items() if not name.endswith("_rule") and name != "evaluate_timestamp"}
    return told | {"rule": row.rule}


def shown_change(row: Any) -> dict[str, Any]:
    """An entry of a history."""
    return {"event_id": row.event_id, "alarm_id": row.alarm_id, "type": row.type, "detail": row.detail, "user_id": row.user_id or "",
            "project_id": row.project_id or "", "on_behalf_of": row.on_behalf_of, "severity": row.severity,
            "timestamp": moment(row.timestamp)}
