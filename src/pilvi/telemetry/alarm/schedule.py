"""When an alarm is looked at: time constraints, each a start in cron's words, a duration, and a time zone.

Source: crontab(5); Alarming API v2, "time_constraints". Like cron, a day fits if either its day of the month or of the week does, when both
are given. A start that falls into the hour which a clock change leaves out does not take place.
"""
from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
FARTHEST_DAYS = 366 * 8
"""29 February comes back after at most eight years."""


class Cron(NamedTuple):
    """The sets of what fits."""
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both kinds of day are restricted, so one is enough."""

    def fits(self, day: date) -> bool:
        """Does it start on this day at all?"""
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((by_month or by_week) if self.either_day else (by_month and by_week))


@lru_cache(1024)
def parse(text: str) -> Cron:
    """Five fields: minute, hour, day of month, month, day of week. Raises ValueError."""
    words = text.lower().split()
    if len(words) != 5: raise ValueError(f"'{text}' has not five fields")
    names = ((), (), (), MONTHS, DAYS)
    sets = [_field(word, *BOUNDS[index], names[index], 1 if index == 3 else 0) for index, word in enumerate(words)]
    weekdays = frozenset(0 if day == 7 else day for day in sets[4])
    either = not words[2].startswith("*") and not words[4].startswith("*")
    return Cron(sets[0], sets[1], sets[2], sets[3], weekdays, either)


def _field(word: str, least: int, most: int, names: Sequence[str], first: int) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        begin = least if span == "*" else _number(low, names, first)
        end = most if span == "*" or (step and not high) else _number(high, names, first) if high else begin
        every = int(step) if step else 1
        if not (least <= begin <= end <= most and every > 0): raise ValueError(f"'{part}' is not within {least}-{most}")
        found.update(range(begin, end + 1, every))
    return frozenset(found)


def _number(word: str, names: Sequence[str], first: int) -> int:
    return names.index(word) + first if word in names else int(word)


def zone(name: str) -> Any:
    """A time zone by its name, UTC if it is empty. Raises ValueError."""
    if not name: return UTC
    try: return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError): raise ValueError(f"Timezone {name} is not valid") from None


def last_start(cron: Cron, now: datetime) -> datetime | None:
    """The latest start that is not after `now`, in its time zone; None if there never was one."""
    day = now.date()
    for _ in range(FARTHEST_DAYS):
        if cron.fits(day):
            for hour in sorted(cron.hours, reverse=True):
                for minute in sorted(cron.minutes, reverse=True):
                    start = datetime(day.year, day.month, day.day, hour, minute, tzinfo=now.tzinfo)
                    if start.astimezone(UTC) <= now.astimezone(UTC) and _exists(start): return start
        if day == date.min: return None
        day -= timedelta(days=1)
    return None


def _exists(moment: datetime) -> bool:
    """False for a time that the clocks jump over."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) == moment.replace(tzinfo=None)


def open_at(constraints: Sequence[dict[str, Any]], now: float) -> bool:
    """Is it within one of the constraints? Yes if there are none."""
    if not constraints: return True
    for constraint in constraints:
        here = datetime.fromtimestamp(now, zone(constraint.get("timezone") or ""))
        start = last_start(parse(constraint["start"]), here)
        if start is not None and now <= start.timestamp() + constraint["duration"]: return True
    return False
