"""What became of an alarm: each change is a row, written with the change, and an event.

Source: Alarming API v2 (Aodh), "Alarm history".
"""
from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from pilvi.core import clock, events
from pilvi.core.crypto import new_id
from pilvi.telemetry.resources.alarm_tables import Alarm, AlarmChange


def record(db: Session, alarm: Alarm, type: str, detail: dict[str, Any], *, user_id: str | None, project_id: str | None,
           event_id: str = "") -> None:
    """Writes an entry in the caller's transaction. Nobody stands behind what an evaluation found: then user and project are None."""
    row = {"event_id": event_id or new_id(), "alarm_id": alarm.id, "type": type, "detail": msgspec.json.encode(detail).decode(),
           "user_id": user_id, "project_id": project_id, "on_behalf_of": alarm.project_id, "severity": alarm.severity,
           "timestamp": clock.now()}
    db.add(AlarmChange(**row))
    events.emit(db, "alarm." + type.replace(" ", "_"), alarm.id, {**row, "detail": detail, "project_id": alarm.project_id})


def moment(at: float) -> str:
    """An instant as the alarm API writes it."""
    return clock.iso(at, fraction=True, zone="")
