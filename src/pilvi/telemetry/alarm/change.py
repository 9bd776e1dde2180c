"""The one place where an alarm's state changes: state, history and the notices to be told are written together, or not at all."""
from __future__ import annotations

from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.telemetry.alarm import history
from pilvi.telemetry.alarm.evaluate import Verdict
from pilvi.telemetry.alarm.states import ACTIONS_OF, MACHINE
from pilvi.telemetry.resources.alarm_tables import Alarm, Notice


def found(db: Session, alarm: Alarm, verdict: Verdict, *, event_id: str = "") -> bool:
    """Takes a verdict on an alarm, as it was read: False, and nothing written, if its state is another one meanwhile. With an
    `event_id` the history tells of it even if the state stays. In the caller's transaction."""
    before = alarm.state
    if verdict.state != before:
        if not MACHINE.adopt(db, Alarm, alarm.id, {before}, verdict.state): return False
        db.execute(update(Alarm).where(Alarm.id == alarm.id).values(state_reason=verdict.reason[:8000], state_timestamp=clock.now()))
    if verdict.state != before or event_id:
        history.record(db, alarm, "state transition", {"state": verdict.state, "transition_reason": verdict.reason}, user_id=None,
                       project_id=None, event_id=event_id)
    if verdict.state != before or alarm.repeat_actions: notify(db, alarm, before, verdict)
    return True


def notify(db: Session, alarm: Alarm, before: str, verdict: Verdict) -> None:
    """Puts the actions of the alarm's new state among the notices. In the caller's transaction."""
    body: dict[str, Any] = {
        "alarm_id": alarm.id, "alarm_name": alarm.name, "severity": alarm.severity, "previous": before, "current": verdict.state,
        "reason": verdict.reason, "reason_data": verdict.data}
    rows = [{"id": new_id(), "alarm_id": alarm.id, "action": action, "body": body, "trust_id": alarm.trust_id, "created_at": clock.now(),
             "next_at": 0.0, "attempts": 0} for action in getattr(alarm, ACTIONS_OF[verdict.state]) or []]
    if rows:
        db.execute(insert(Notice), rows)
        db.info["noticed"] = True
