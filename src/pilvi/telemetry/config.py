"""Options of telemetry."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    event_days: float = 30.0
    """How long events are kept, in days."""
    page_limit: int = 1000
    """The most resources or metrics on one page."""
