"""Options of telemetry."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    census_seconds: float = 300.0
    """How often images, volumes, snapshots, floating IPs and hosts are counted."""
    page_limit: int = 1000
    """The most resources or metrics on one page."""
