"""Evaluates alarms: a loop that takes those that are due, asks for their statistics, and writes what it finds.

An alarm is taken by moving its `due_at` on, so of several control processes one evaluates it; if that one dies, the alarm is due again an
interval later. What is found is written only if the alarm is still as it was read.
"""
from __future__ import annotations

import structlog
from sqlalchemy import select, update

from pilvi.core import clock
from pilvi.core.errors import Unavailable
from pilvi.core.http.app import Application
from pilvi.telemetry.alarm import change, evaluate, rules, schedule, statistics
from pilvi.telemetry.resources.alarm_tables import Alarm

LOG = structlog.get_logger()
BATCH = 200
LEAST_SECONDS = 10.0
"""Between two evaluations of an alarm, however fine its granularity is."""


def evaluate_due(application: Application) -> None:
    """Evaluates all alarms that are due."""
    while taken := _take(application):
        quiet = []
        for alarm in taken:
            try:
                if not look(application, alarm): quiet.append(alarm.id)
            except Unavailable: raise
            except Exception: LOG.exception("alarm not evaluated", alarm=alarm.id)
        with application.database.write() as db:
            db.execute(update(Alarm).where(Alarm.id.in_(quiet)).values(evaluate_timestamp=clock.now()))
        if len(taken) < BATCH: return


def _take(application: Application) -> list[Alarm]:
    """The alarms that this process evaluates now."""
    now = clock.now()
    due = (Alarm.enabled.is_(True), Alarm.type != "event", Alarm.due_at <= now)
    with application.database.read() as db:  # look without the write lock first
        if db.execute(select(Alarm.id).where(*due).limit(1)).first() is None: return []
    with application.database.write() as db:
        found = list(db.scalars(select(Alarm).where(*due).order_by(Alarm.due_at).limit(BATCH).with_for_update(skip_locked=True)))
        for alarm in found:
            seconds = rules.seconds_between_looks(alarm.type, alarm.rule, LEAST_SECONDS, application.config.alarm_seconds)
            db.execute(update(Alarm).where(Alarm.id == alarm.id).values(due_at=now + seconds))
        db.expunge_all()
    return found


def look(application: Application, alarm: Alarm) -> bool:
    """Evaluates one alarm and writes what was found; False if there is nothing to say."""
    now = clock.now()
    if not schedule.open_at(alarm.time_constraints or [], now): return False
    parts = list(evaluate.leaves(alarm.rule)) if alarm.type == "composite" else [{**alarm.rule, "type": alarm.type}]
    project_id = None if alarm.every_project else alarm.project_id
    with application.database.read() as db:
        found = [evaluate.outcome(part, statistics.values(db, part, project_id, now)) for part in parts]
    if alarm.type == "composite": verdict = evaluate.composite(alarm.rule, found, alarm.state)
    else: verdict = evaluate.threshold(alarm.rule, found[0], alarm.state, alarm.repeat_actions)
    if verdict is not None: _write(application, alarm, verdict, now)
    return verdict is not None


def _write(application: Application, alarm: Alarm, verdict: evaluate.Verdict, now: float) -> None:
    with application.database.write() as db:
        current = db.get(Alarm, alarm.id, with_for_update=True)
        if current is None or (current.timestamp, current.state, current.enabled) != (alarm.timestamp, alarm.state, True): return
        db.execute(update(Alarm).where(Alarm.id == alarm.id).values(evaluate_timestamp=now))
        change.found(db, current, verdict)
    application.state["notifier"].poke()
