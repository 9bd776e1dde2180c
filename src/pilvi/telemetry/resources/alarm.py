"""Alarms over HTTP.

Source: Alarming API v2 (Aodh), "Alarms", "Alarm history", "Capabilities"; policies `telemetry:get_alarm` and so on. As upstream, a project
or an action that the caller may not name is answered 401.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.dialect import TELEMETRY
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import Resource
from pilvi.telemetry import errors
from pilvi.telemetry.alarm import history, trust
from pilvi.telemetry.alarm.states import MACHINE, STATES
from pilvi.telemetry.resources import alarm_query as query
from pilvi.telemetry.resources.alarm_body import recorded, shown, shown_change, trusted, values_of
from pilvi.telemetry.resources.alarm_quota import limit_of
from pilvi.telemetry.resources.alarm_tables import Alarm, AlarmChange, Notice

FIELDS = {"all_projects", "user_id", "project_id", "type", "name", "enabled", "state", "severity", "timestamp", "repeat_actions"}
SORTS = {"alarm_id", "enabled", "name", "type", "severity", "timestamp", "user_id", "project_id", "state", "repeat_actions",
         "state_timestamp"}
CHANGE_SORTS = {"event_id", "alarm_id", "on_behalf_of", "project_id", "user_id", "type", "timestamp", "severity"}
MANUAL = "Manually set via API"

RESOURCE = Resource(Alarm, "alarm", "/v2/alarms", TELEMETRY, verbs=(), default_sort=[("timestamp", True)], missing=errors.AlarmUnknown)
CHANGE = Resource(AlarmChange, "alarm_change", "/v2/alarms/history", TELEMETRY, verbs=(), key="event_id", owner="on_behalf_of",
                  default_sort=[("timestamp", True)], missing=errors.AlarmUnknown)


def _target(call: Call, project_id: str | None = None) -> dict[str, Any]:
    return {"project_id": call.project_id if project_id is None else project_id, "user_id": call.user_id}


def _permit(call: Call, verb: str, target: dict[str, Any] | None = None) -> None:
    if not call.allowed(f"telemetry:{verb}", target or _target(call)): raise Forbidden(action=f"telemetry:{verb}")


def _find(call: Call, id: str, verb: str) -> Alarm:
    row: Alarm = RESOURCE.find(call, id)
    _permit(call, verb, {"project_id": row.project_id, "user_id": row.user_id})
    return row


def list_alarms(call: Call) -> list[dict[str, Any]]:
    """GET /v2/alarms?q.field=…"""
    _permit(call, "get_alarms")
    asked = query.simple(call, FIELDS)
    wanted = {field: query.converted(field, value) for field, _, value in asked if field != "all_projects"}
    every = any(field == "all_projects" and value.lower() in ("true", "1", "yes") for field, _, value in asked)
    if every: _permit(call, "get_alarms:all_projects")
    elif "project_id" not in wanted: wanted["project_id"] = call.project_id
    elif wanted["project_id"] != call.project_id and not call.is_admin: raise errors.ProjectForbidden(id=wanted["project_id"][:64])
    conditions = [Alarm.__table__.c[field] == value for field, value in wanted.items()]
    return [shown(row) for row in query.page(call, RESOURCE, conditions, SORTS)]


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /v2/alarms/{id}"""
    return shown(_find(call, id, "get_alarm"))


def create(call: Call) -> Response:
    """POST /v2/alarms"""
    assert call.application is not None
    _permit(call, "create_alarm")
    values = values_of(call, call.body)
    for name, mine in (("user_id", call.user_id), ("project_id", call.project_id)):
        if not call.is_admin and values.get(name, mine) != mine: raise errors.ProjectForbidden(id=str(values[name])[:64])
        values.setdefault(name, mine)
    if not values["project_id"]: raise Invalid("An alarm needs a project: use a project-scoped token.")
    trust_id = trust.make(call) if trusted(values) else None
    try:
        with call.application.database.write() as call.db:
            _check_quota(call, values)
            alarm = Alarm(**values, trust_id=trust_id, every_project=call.is_admin)
            call.db.add(alarm)
            call.db.flush()
            body = shown(alarm)
            _record(call, alarm, "creation", recorded(alarm))
    except BaseException:
        call.db = None
        if trust_id: trust.drop(call, trust_id)
        raise
    return Response(201, body, {"Location": call.url(f"/v2/alarms/{alarm.id}")})


def _check_quota(call: Call, values: dict[str, Any]) -> None:
    assert call.db is not None
    limit = limit_of(call, values["project_id"])
    used = call.db.scalar(select(func.count()).select_from(Alarm).where(Alarm.project_id == values["project_id"])) or 0
    if 0 <= limit <= used: raise errors.AlarmQuotaExceeded(user=values["user_id"], project=values["project_id"])


def _record(call: Call, alarm: Alarm, type: str, detail: dict[str, Any]) -> None:
    assert call.db is not None
    history.record(call.db, alarm, type, detail, user_id=call.user_id, project_id=call.project_id)


def update(call: Call, id: str) -> dict[str, Any]:
    """PUT /v2/alarms/{id}: replaces the whole alarm."""
    assert call.application is not None
    values = values_of(call, call.body)
    with call.application.database.read() as call.db: known = _find(call, id, "change_alarm").trust_id
    call.db = None
    if not call.is_admin: values = {name: value for name, value in values.items() if name not in ("project_id", "user_id")}
    wanted = trusted(values)
    trust_id = (known or trust.make(call)) if wanted else None
    with call.application.database.write() as call.db:
        alarm = _find(call, id, "change_alarm")
        before = recorded(alarm)
        state = values.pop("state")
        for name, value in {**values, "trust_id": trust_id, "timestamp": clock.now(), "due_at": 0.0}.items(): setattr(alarm, name, value)
        if call.is_admin: alarm.every_project = True
        if state != alarm.state: alarm.state_reason, alarm.state_timestamp = MANUAL, clock.now()
        call.db.flush()
        if state != alarm.state:
            MACHINE.force(call.db, Alarm, id, state)
            call.db.refresh(alarm)
        after = recorded(alarm)
        changed = {name: value for name, value in after.items() if before[name] != value and name not in ("timestamp", "state_timestamp")}
        if changed: _record(call, alarm, "rule change", changed)
        body = shown(alarm)
    call.db = None
    if known and not wanted: trust.drop(call, known)
    return body


def delete(call: Call, id: str) -> Response:
    """DELETE /v2/alarms/{id}: its history stays; what it had still to tell is not told any more."""
    assert call.application is not None
    with call.application.database.write() as call.db:
        alarm = _find(call, id, "delete_alarm")
        trust_id = alarm.trust_id
        _record(call, alarm, "deletion", {"state": alarm.state})
        call.db.execute(delete_rows(Notice).where(Notice.alarm_id == id))
        call.db.delete(alarm)
    call.db = None
    if trust_id: trust.drop(call, trust_id)
    return Response(204)


def show_state(call: Call, id: str) -> Response:
    """GET /v2/alarms/{id}/state"""
    return Response(200, f'"{_find(call, id, "get_alarm_state").state}"'.encode())


def set_state(call: Call, id: str) -> Response:
    """PUT /v2/alarms/{id}/state: a word in quotes."""
    assert call.db is not None
    if call.body not in STATES: raise Invalid("state invalid")
    alarm = _find(call, id, "change_alarm_state")
    alarm.state_reason, alarm.state_timestamp = MANUAL, clock.now()
    call.db.flush()
    MACHINE.force(call.db, Alarm, id, call.body)
    call.db.refresh(alarm)
    _record(call, alarm, "state transition", {"state": alarm.state, "state_reason": MANUAL})
    return Response(200, f'"{alarm.state}"'.encode())


def show_history(call: Call, id: str) -> list[dict[str, Any]]:
    """GET /v2/alarms/{id}/history"""
    _find(call, id, "alarm_history")
    conditions = [AlarmChange.__table__.c.alarm_id == id]
    if not call.is_admin: conditions.append(AlarmChange.__table__.c.on_behalf_of == call.project_id)
    for field, operation, value in query.simple(call, CHANGE_SORTS, ("eq", "lt", "le", "gt", "ge", "ne")):
        word = {"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[operation]
        conditions.append(query.OPERATIONS[word](AlarmChange.__table__.c[field], query.converted(field, value)))
    return [shown_change(row) for row in query.page(call, CHANGE, conditions, CHANGE_SORTS)]


def search(call: Call) -> list[dict[str, Any]]:
    """POST /v2/query/alarms"""
    _permit(call, "query_alarm")
    return [shown(row) for row in query.search(call, RESOURCE, call.body, "project_id")]


def search_history(call: Call) -> list[dict[str, Any]]:
    """POST /v2/query/alarms/history: of alarms that are gone too."""
    _permit(call, "query_alarm_history")
    return [shown_change(row) for row in query.search(call, CHANGE, call.body, "on_behalf_of")]


def capabilities(call: Call) -> dict[str, Any]:
    """GET /v2/capabilities"""
    api = {f"alarms:{what}query:{how}": True for what in ("", "history:") for how in ("simple", "complex")}
    return {"api": api, "alarm_storage": {"storage:production_ready": True}}


READER, MEMBER = (f"role:admin or (role:{role} and project_id:%(project_id)s)" for role in ("reader", "member"))
RULES = {
    **{f"telemetry:{verb}": Rule(READER) for verb in ("get_alarm", "get_alarms", "query_alarm", "get_alarm_state", "alarm_history",
                                                      "query_alarm_history")},
    **{f"telemetry:{verb}": Rule(MEMBER) for verb in ("create_alarm", "change_alarm", "delete_alarm", "change_alarm_state")},
    "telemetry:get_alarms:all_projects": Rule("role:admin"), "telemetry:get_capabilities": Rule("@")}
_ONE = "/v2/alarms/{id}"
ROUTES = [
    Route("/v2/alarms", "GET", list_alarms, None, transaction="read"), Route("/v2/alarms", "POST", create, None),
    Route(_ONE, "GET", show, None, transaction="read"), Route(_ONE, "PUT", update, None), Route(_ONE, "DELETE", delete, None),
    Route(_ONE + "/state", "GET", show_state, None, transaction="read"),
    Route(_ONE + "/state", "PUT", set_state, None, transaction="write"),
    Route(_ONE + "/history", "GET", show_history, None, transaction="read"),
    Route("/v2/query/alarms", "POST", search, None, transaction="read"),
    Route("/v2/query/alarms/history", "POST", search_history, None, transaction="read"),
    Route("/v2/capabilities", "GET", capabilities, "telemetry:get_capabilities"),
]
