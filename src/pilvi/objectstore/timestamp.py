"""Timestamps that order all writes: whole numbers of 10 µs since 1970, as in `X-Timestamp: 1700000000.12345`. The newest write wins.

Source: Object Storage API, `X-Timestamp`; five decimal digits.
"""
from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from email.utils import formatdate

from pilvi.core import clock

TICKS = 100_000
_FORM = re.compile(r"(\d{1,10})(?:\.(\d{1,12}))?")
_lock = threading.Lock()
_last = 0


def now() -> int:
    """The present; never the same twice in a process, so two writes are never equally old."""
    global _last
    with _lock:
        _last = max(_last + 1, int(clock.now() * TICKS))
        return _last


def text(timestamp: int) -> str:
    """As `X-Timestamp` writes it: ten digits, a point, five digits."""
    return f"{timestamp // TICKS:010d}.{timestamp % TICKS:05d}"


def parse(given: str) -> int:
    """The reverse; more digits than five are cut off. Raises ValueError."""
    found = _FORM.fullmatch(given.strip())
    if not found: raise ValueError(f"not a timestamp: {given!r}")
    return int(found[1]) * TICKS + int((found[2] or "0")[:5].ljust(5, "0"))


def iso(timestamp: int) -> str:
    """As listings write it: `2023-11-14T22:13:20.123450`."""
    seconds, ticks = divmod(timestamp, TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ticks * 10:06d}"


def http_date(timestamp: int) -> str:
    """As `Last-Modified` writes it, rounded up, so that a client's If-Modified-Since never hides a change."""
    return formatdate(-(-timestamp // TICKS), usegmt=True)


def nanoseconds(timestamp: int) -> int:
    """For a file's mtime, which is how a directory tells its files' timestamps without opening them."""
    return timestamp * 10_000
