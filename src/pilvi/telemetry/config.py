"""Options of telemetry."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    census_seconds: float = 300.0
    """How often images, volumes, snapshots, floating IPs and hosts are counted."""
    page_limit: int = 1000
    """The most resources or metrics on one page."""
    alarm_seconds: float = 60.0
    """How often an alarm is evaluated at most; one with a finer granularity is evaluated as often as that, but not oftener than every
    ten seconds."""
    alarm_quota: int = -1
    """How many alarms a project may have (-1: no limit)."""
    notice_seconds: float = 3600.0
    """How long an alarm's action is tried again when the place that it goes to does not answer."""
