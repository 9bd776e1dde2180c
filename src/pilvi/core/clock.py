"""Time. Instants are seconds since 1970 (UTC, float); durations are measured on the monotonic clock."""
from __future__ import annotations

import time
from datetime import UTC, datetime

now = time.time
monotonic = time.monotonic


def iso(seconds: float, *, fraction: bool = False, zone: str = "Z") -> str:
    """The instant as ISO 8601: 2026-11-22T17:00:00Z, with microseconds if `fraction`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds" if fraction else "seconds").removesuffix("+00:00") + zone


def parse(text: str) -> float:
    """The instant written in ISO 8601 (no zone means UTC). Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    if not 1000 < moment.year < 9999: raise ValueError(f"the year {moment.year} is out of range")  # iso() can write these in any zone
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
