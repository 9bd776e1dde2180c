"""The events that services told, as they were kept: what happened to a thing, and how often anything happened.

Source: ours, in the manner of Ceilometer's event API (removed upstream). Others than administrators see those of their project,
and not the payload: that holds columns which only administrators see.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry import errors
from pilvi.telemetry.resources.measure import instant_of
from pilvi.telemetry.resources.tables import LifecycleEvent
from pilvi.telemetry.timespan import iso

MOST = 1000
COLUMNS = {"type": LifecycleEvent.type, "subject": LifecycleEvent.subject, "service": LifecycleEvent.service,
           "project_id": LifecycleEvent.project_id, "user_id": LifecycleEvent.user_id, "request_id": LifecycleEvent.request_id}


def _conditions(call: Call) -> list[Any]:
    assert call.request is not None
    found: list[Any] = [] if call.is_admin else [LifecycleEvent.project_id == call.project_id]
    for name, value in call.request.query:
        if name in COLUMNS: found.append(COLUMNS[name].like(value.replace("*", "%")) if "*" in value else COLUMNS[name] == value)
    start, stop = instant_of(call, "start"), instant_of(call, "stop")
    if start is not None: found.append(LifecycleEvent.at >= start)
    if stop is not None: found.append(LifecycleEvent.at < stop)
    return found


def list_events(call: Call) -> Any:
    """GET /v1/event?type=&subject=&service=&project_id=&user_id=&request_id=&start=&stop=&limit=: the newest first; * for any text"""
    assert call.db is not None and call.request is not None
    try: limit = min(MOST, int(call.request.one("limit") or MOST))
    except ValueError: limit = 0
    if limit < 1: raise errors.argument("limit", "expected a whole number of at least 1")
    rows = call.db.scalars(select(LifecycleEvent).where(*_conditions(call))
                           .order_by(LifecycleEvent.at.desc(), LifecycleEvent.seq.desc()).limit(limit))
    return [{"service": row.service, "seq": row.seq, "type": row.type, "generated": iso(row.at), "subject": row.subject,
             "project_id": row.project_id, "user_id": row.user_id, "request_id": row.request_id,
             **({"payload": row.payload} if call.is_admin else {})} for row in rows]


def count_events(call: Call) -> Any:
    """GET /v1/event/count: {type: how many}"""
    assert call.db is not None
    rows = call.db.execute(select(LifecycleEvent.type, func.count()).where(*_conditions(call)).group_by(LifecycleEvent.type))
    return {type: n for type, n in rows}


RULES = {"list event": Rule("@")}
ROUTES = [
    Route("/v1/event", "GET", list_events, "list event", transaction="read"),
    Route("/v1/event/count", "GET", count_events, "list event", transaction="read"),
]
