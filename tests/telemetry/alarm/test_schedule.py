"""Cron's words, and windows in any time zone."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry.alarm.schedule import last_start, open_at, parse, zone


def at(text: str, name: str = "") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone(name)).timestamp()


def between(start: str, duration: int, name: str = "") -> list[dict[str, Any]]:
    return [{"name": "x", "start": start, "duration": duration, "timezone": name}]


def test_without_constraints_it_is_always_open() -> None:
    assert open_at([], 0.0)


@pytest.mark.parametrize(("moment", "is_open"), [
    ("2026-11-22T22:59:59", False), ("2026-11-22T23:00:00", True), ("2026-11-23T01:59:00", True), ("2026-11-23T02:00:00", True),
    ("2026-11-23T02:00:01", False), ("2026-11-23T12:00:00", False)])
def test_every_night_from_23_for_three_hours(moment: str, is_open: bool) -> None:
    assert open_at(between("0 23 * * *", 3 * 3600), at(moment)) is is_open


def test_the_time_zone_counts() -> None:
    here = between("0 9 * * mon-fri", 8 * 3600, "Asia/Shanghai")
    assert open_at(here, at("2026-11-23T09:30:00", "Asia/Shanghai")) and not open_at(here, at("2026-11-23T09:30:00"))
    assert not open_at(here, at("2026-11-22T09:30:00", "Asia/Shanghai"))  # a Sunday


def test_any_of_several_is_enough() -> None:
    both = between("0 1 * * *", 60) + between("0 5 * * *", 60)
    assert open_at(both, at("2026-11-22T05:00:30")) and not open_at(both, at("2026-11-22T03:00:00"))


def test_an_hour_that_the_clocks_leave_out_does_not_start() -> None:
    night = between("30 2 * * *", 3600, "Europe/Ljubljana")
    assert not open_at(night, at("2026-03-29T03:10:00", "Europe/Ljubljana"))
    assert open_at(night, at("2026-03-28T03:10:00", "Europe/Ljubljana"))


@pytest.mark.parametrize("text", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
                                  "*/0 * * * *", "a * * * *", "* * * foo *", "1,,2 * * * *", "-1 * * * *"])
def test_what_is_no_cron_is_refused(text: str) -> None:
    with pytest.raises(ValueError): parse(text)


def test_names_steps_and_sundays() -> None:
    cron = parse("*/15 8-10 1,15 jan-mar/2 7")
    assert (sorted(cron.minutes), sorted(cron.hours), sorted(cron.months), sorted(cron.weekdays)) == (
        [0, 15, 30, 45], [8, 9, 10], [1, 3], [0])
    assert parse("0 0 1 * mon").either_day and not parse("0 0 */2 * mon").either_day


@given(st.integers(0, 59), st.integers(0, 23), st.one_of(st.none(), st.integers(0, 6)),
       st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_the_last_start_is_the_last(minute: int, hour: int, weekday: int | None, now: datetime) -> None:
    found = last_start(parse(f"{minute} {hour} * * {'*' if weekday is None else weekday}"), now)
    assert found and found <= now
    step = now.replace(second=0, microsecond=0)
    while not ((step.minute, step.hour) == (minute, hour) and (weekday is None or step.isoweekday() % 7 == weekday)):
        step -= timedelta(hours=1) if step.minute == minute else timedelta(minutes=1)
    assert found == step


def test_what_never_was_has_no_start() -> None:
    assert last_start(parse("0 0 30 2 *"), datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert last_start(parse("0 0 29 2 *"), datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2024, 2, 29, tzinfo=UTC)


def test_unknown_zones_are_refused() -> None:
    with pytest.raises(ValueError): zone("Mars/Olympus")
    with pytest.raises(ValueError): zone("../../etc/passwd")
