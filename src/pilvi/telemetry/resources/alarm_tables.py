"""The tables of the alarm API.

Source: Alarming API v2 (Aodh), "Alarms", "Alarm history", "Quotas".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.wire import Base, boolean, field, instant, one_of, text
from pilvi.telemetry.alarm.states import STATES, UNKNOWN

SEVERITIES = ("low", "moderate", "critical")


class Alarm(Base):
    """Something that watches, and tells when what it watches changes."""
    __tablename__ = "telemetry_alarms"
    id: Mapped[str] = field(text(64), key=True, default=new_id, wire="alarm_id")
    name: Mapped[str] = field(text(255), nullable=False, index=True)
    description: Mapped[str] = field(text(2000), default="")
    type: Mapped[str] = field(text(64), nullable=False)
    enabled: Mapped[bool] = field(boolean(), default=True)
    severity: Mapped[str] = field(one_of(*SEVERITIES), default="low")
    state: Mapped[str] = field(one_of(*STATES), default=UNKNOWN)
    state_reason: Mapped[str] = field(text(8000), default="Not evaluated yet")
    state_timestamp: Mapped[float] = field(instant(), default=clock.now)
    timestamp: Mapped[float] = field(instant(), default=clock.now)
    evaluate_timestamp: Mapped[float | None] = field(instant())
    repeat_actions: Mapped[bool] = field(boolean(), default=False)
    project_id: Mapped[str] = field(text(64), nullable=False, index=True)
    user_id: Mapped[str] = field(text(64), nullable=False)
    ok_actions: Mapped[Any] = mapped_column(Json, default=list)
    alarm_actions: Mapped[Any] = mapped_column(Json, default=list)
    insufficient_data_actions: Mapped[Any] = mapped_column(Json, default=list)
    rule: Mapped[Any] = mapped_column(Json, default=dict)
    time_constraints: Mapped[Any] = mapped_column(Json, default=list)
    busy: Mapped[str | None] = mapped_column(String(32))
    updated_at: Mapped[float | None] = mapped_column(Instant)
    every_project: Mapped[bool] = mapped_column(Boolean, default=False)
    """An administrator made it: it may watch what belongs to others."""
    trust_id: Mapped[str | None] = mapped_column(String(64))
    """With which its trust+http actions are signed in."""
    due_at: Mapped[float] = mapped_column(Instant, default=0.0, index=True)
    """When it is evaluated next; who moves this on by compare-and-set does it."""


class AlarmChange(Base):
    """An entry in an alarm's history; kept when the alarm is gone."""
    __tablename__ = "telemetry_alarm_changes"
    event_id: Mapped[str] = field(text(64), key=True, default=new_id)
    alarm_id: Mapped[str] = field(text(64), nullable=False, index=True)
    type: Mapped[str] = field(one_of("creation", "rule change", "state transition", "deletion"), nullable=False)
    detail: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = field(text(64))
    project_id: Mapped[str | None] = field(text(64))
    on_behalf_of: Mapped[str] = field(text(64), nullable=False, index=True)
    severity: Mapped[str] = field(text(32), nullable=False)
    timestamp: Mapped[float] = field(instant(), default=clock.now, index=True)


class Notice(Base):
    """An action that still has to be told. `next_at` is also the lease of who tells it."""
    __tablename__ = "telemetry_alarm_notices"
    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    alarm_id: Mapped[str] = mapped_column(String(64), index=True)
    action: Mapped[str] = mapped_column(Text)
    body: Mapped[Any] = mapped_column(Json)
    trust_id: Mapped[str | None] = mapped_column(String(64))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    next_at: Mapped[float] = mapped_column(Instant, default=0.0, index=True)


class AlarmQuota(Base):
    """How many alarms a project may have, where it is not the default."""
    __tablename__ = "telemetry_alarm_quotas"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int] = mapped_column(Integer)
