"""Lengths of time and instants as clients of the metric API write them: "5 minutes", "1:00:00", 300; ISO 8601, seconds, "-1 hour"."""
from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*(weeks?|wks?|w|days?|d|hours?|hrs?|hr|h|minutes?|mins?|m|seconds?|secs?|s)\s*(?:,|and)?\s*")
CLOCK = re.compile(r"(?:(\d+)\s*days?,\s*)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
SHORTEST = 1e-9
"""A nanosecond: what instants are counted in upstream."""
LATEST = 253_402_300_800.0
"""The year 10000: later instants cannot be written."""


def length(value: Any) -> float:
    """Seconds of a length of time, positive. Raises ValueError."""
    seconds = signed_length(value)
    if not SHORTEST <= seconds < LATEST: raise ValueError("Timespan must be positive")
    return seconds


def signed_length(value: Any) -> float:
    """Seconds of a length of time. Raises ValueError."""
    if isinstance(value, bool) or value is None: raise ValueError("Invalid timespan")
    try: seconds = float(value)
    except (TypeError, ValueError): seconds = _spoken(str(value).strip())
    if not math.isfinite(seconds): raise ValueError("Unable to parse timespan")
    return seconds


def _spoken(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.lstrip("+-").strip().lower()
    if found := CLOCK.fullmatch(rest):
        days, hours, minutes, seconds = found.groups()
        return sign * (int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds))
    total, at = 0.0, 0
    while found := WORDS.match(rest, at):
        total += float(found[1]) * UNITS[found[2][0]]
        at = found.end()
    if not rest or at != len(rest): raise ValueError("Unable to parse timespan")
    return sign * total


def instant(value: Any, now: float) -> float:
    """Seconds since 1970 of an instant, or of one so long before `now`. Raises ValueError."""
    if isinstance(value, bool) or value is None: raise ValueError(value)
    try: moment = float(value)
    except (TypeError, ValueError): moment = _written(str(value).strip(), now)
    if not math.isfinite(moment) or moment >= LATEST: raise ValueError(f"{value} is out of range")
    if moment < 0: raise ValueError("Timestamp must be after Epoch")
    return moment


def _written(text: str, now: float) -> float:
    try:
        # a "+" of the zone that came through a query is a space
        moment = datetime.fromisoformat(re.sub(r"(T[0-9:.]+) (?=\d\d:?\d\d$)", r"\1+", text))
    except ValueError:
        return now + signed_length(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def iso(seconds: float) -> str:
    """2015-03-06T14:33:57+00:00, with microseconds where there are some."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


def spelled(seconds: float) -> str:
    """0:05:00; 30 days, 0:00:00"""
    return str(timedelta(seconds=seconds))
