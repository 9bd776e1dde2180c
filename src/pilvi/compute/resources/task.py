"""What compute keeps about work: tasks, the spans of boots, and the log of actions on a server.

Source: Compute API, "Servers - instance actions"; microversions 2.21, 2.51, 2.58, 2.62, 2.66, 2.84.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.compute import errors
from pilvi.core import clock, trace
from pilvi.core.context import Call
from pilvi.core.db.types import Instant, Json
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, insert_many
from pilvi.core.task import TaskColumns
from pilvi.core.wire import Base


class Task(TaskColumns, Base):
    __tablename__ = "compute_tasks"


class SpanRow(Base):
    """A span of a server's story."""
    __tablename__ = "compute_spans"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    server_id: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int]
    name: Mapped[str]
    actor: Mapped[str]
    peer: Mapped[str]
    transport: Mapped[str]
    started: Mapped[float] = mapped_column(Instant)
    seconds: Mapped[float] = mapped_column(Instant)
    carried: Mapped[Any] = mapped_column(Json, default=dict)


class Action(Base):
    """Something that was done to a server, and how it ended."""
    __tablename__ = "compute_actions"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    server_id: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str]
    action: Mapped[str]
    project_id: Mapped[str]
    user_id: Mapped[str]
    started: Mapped[float] = mapped_column(Instant, default=clock.now)
    updated: Mapped[float] = mapped_column(Instant, default=clock.now)
    message: Mapped[str | None]
    events: Mapped[Any] = mapped_column(Json, default=list)


def keep_spans(db: Session, server_id: str, attempt: int, spans: list[trace.Span]) -> None:
    """Stores spans in the caller's transaction."""
    rows = [{"server_id": server_id, "attempt": attempt, "name": s.name, "actor": s.actor, "peer": s.peer, "transport": s.transport,
             "started": s.started, "seconds": s.seconds, "carried": s.carried} for s in spans]
    insert_many(db, SpanRow, rows)


def record(call: Call, server_id: str, action: str) -> None:
    """Writes that an action begins, in the call's transaction."""
    assert call.db is not None
    call.db.add(Action(server_id=server_id, request_id=call.request_id, action=action, project_id=call.project_id, user_id=call.user_id))


def conclude(db: Session, task: Any, failed: bool) -> None:
    """Writes how the action ended that began with this task."""
    row = db.query(Action).where(Action.server_id == task.subject_id, Action.request_id == task.facts.get("request_id")).first()
    if row is None: return
    row.updated = clock.now()
    row.message = "Error" if failed else None
    event = {"event": f"compute_{row.action}", "start_time": row.started, "finish_time": row.updated,
        "result": "Error" if failed else "Success",
             "traceback": None, "host": task.facts.get("host"), "details": task.error}
    row.events = [*(row.events or []), event]


def list_actions(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-instance-actions"""
    assert call.db is not None and call.application is not None
    _server(call, id)
    rows = call.db.scalars(select(Action).where(Action.server_id == id).order_by(Action.number.desc()))
    return {"instanceActions": [_shown(call, row) for row in rows]}


def show_action(call: Call, id: str, request_id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-instance-actions/{request_id}"""
    assert call.db is not None
    _server(call, id)
    row = call.db.scalars(select(Action).where(Action.server_id == id, Action.request_id == request_id)).first()
    if row is None: raise errors.ActionLogNotFound(id=request_id, server_id=id)
    shown = _shown(call, row)
    if call.is_admin or call.version >= (2, 51):
        shown["events"] = [{k: _time(v) if k.endswith("_time") else v for k, v in event.items()
                            if k not in ("host", "details", "traceback") or call.is_admin} for event in row.events or []]
    return {"instanceAction": shown}


def _server(call: Call, id: str) -> None:
    """The server, deleted ones too (2.21), if it exists for the caller."""
    assert call.application is not None and call.db is not None
    resource = next(r for r in call.application.service.resources if r.name == "server")
    table: Any = resource.table
    mine = [] if call.is_admin else [table.project_id == call.project_id]
    if call.db.query(table.id).where(table.id == id, *mine).first() is None: raise errors.ServerNotFound(id=id)


def _time(seconds: float) -> str:
    return clock.iso(seconds, fraction=True, zone="")


def _shown(call: Call, row: Action) -> dict[str, Any]:
    shown = {"action": row.action, "instance_uuid": row.server_id, "request_id": row.request_id, "user_id": row.user_id,
             "project_id": row.project_id, "start_time": _time(row.started), "message": row.message}
    return shown | {"updated_at": _time(row.updated)} if call.version >= (2, 58) else shown


def show_trace(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/pilvi-trace: the spans of its boots, in order (an extension of Pilvi's)."""
    assert call.db is not None
    _server(call, id)
    rows = call.db.scalars(select(SpanRow).where(SpanRow.server_id == id).order_by(SpanRow.attempt, SpanRow.started, SpanRow.name))
    return {"spans": [{"attempt": r.attempt, "name": r.name, "actor": r.actor, "peer": r.peer, "transport": r.transport,
                       "started": r.started, "seconds": r.seconds, "carried": r.carried} for r in rows]}


_RULE = "os_compute_api:os-instance-actions:list"
RULES = {_RULE: Rule(PERSONAS["anyone"])}
ROUTES = [
    Route("/v2.1/servers/{id}/os-instance-actions", "GET", list_actions, _RULE, transaction="read"),
    Route("/v2.1/servers/{id}/os-instance-actions/{request_id}", "GET", show_action, _RULE, transaction="read"),
    Route("/v2.1/servers/{id}/pilvi-trace", "GET", show_trace, _RULE, transaction="read"),
]
