"""Periods of a bill: calendar months in UTC, or from one instant to another."""
from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST_SECONDS = 400 * 86400.0
MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


@dataclass(frozen=True)
class Period:
    """From `begin` until before `end`, as far as it has passed by `now`."""
    begin: float
    end: float
    now: float

    @property
    def until(self) -> float:
        return max(self.begin, min(self.end, self.now))

    @property
    def complete(self) -> bool:
        return self.now >= self.end


def period_of(now: float, month: str | None, begin: float | None, end: float | None) -> Period:
    """The period of a month ("2026-11"), or between two instants; what is not given is this month's begin and end. Raises ValueError."""
    if month is not None:
        if begin is not None or end is not None: raise ValueError("give a month, or a begin and an end")
        found = MONTH.fullmatch(month)
        if not found: raise ValueError(f"'{month[:20]}' is not of the form 2026-11")
        return Period(*month_of(int(found[1]), int(found[2])), now)
    today = datetime.fromtimestamp(now, UTC)
    first, last = month_of(today.year, today.month)
    if begin is not None and end is None: last = max(last, now)
    period = Period(first if begin is None else begin, last if end is None else end, now)
    if period.end <= period.begin: raise ValueError("it ends before it begins")
    if period.end - period.begin > LONGEST_SECONDS: raise ValueError("it is longer than 400 days")
    return period


def month_of(year: int, month: int) -> tuple[float, float]:
    """The first instant of a month and of the next. Raises ValueError."""
    if not 1 < year < 9999: raise ValueError(f"the year {year} is out of range")
    first = datetime(year, month, 1, tzinfo=UTC)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return first.timestamp(), after.timestamp()
