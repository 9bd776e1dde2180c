"""Lengths of time and instants as clients write them."""
from __future__ import annotations

import pytest

from pilvi.telemetry import timespan


@pytest.mark.parametrize("text,seconds", [
    (60, 60), ("60", 60), ("5 minutes", 300), ("1h", 3600), ("1 hour 30 minutes", 5400), ("1:00:00", 3600), ("0:05",
                                                                                                             5), ("2 days, 0:00:10",
                                                                                                                  172810),
    ("1 day", 86400), ("1.5 hours", 5400), ("1 week", 604800), ("300s", 300)])
def test_a_length_of_time(text: str, seconds: float) -> None:
    assert timespan.length(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "-1 hour", None, "nan", "inf", True, "5 parsecs", "1e300", "1e-300"])
def test_no_length_of_time(text: object) -> None:
    with pytest.raises(ValueError): timespan.length(text)


@pytest.mark.parametrize("text,at", [
    ("2015-03-06T14:33:57", 1425652437.0), ("2015-03-06T14:33:57Z", 1425652437.0), ("2015-03-06T15:33:57+01:00", 1425652437.0),
    ("2015-03-06T15:33:57 01:00", 1425652437.0), ("2015-03-06", 1425600000.0), (1425652437.5, 1425652437.5), ("-1 minute", 940.0), ("1h",
                                                                                                                                    4600.0)])
def test_an_instant(text: object, at: float) -> None:
    assert timespan.instant(text, 1000.0) == at


@pytest.mark.parametrize("text", ["", "never", "1899-01-01T00:00:00", -1, None, "1e40", float("nan"), True])
def test_no_instant(text: object) -> None:
    with pytest.raises(ValueError): timespan.instant(text, 1000.0)


def test_instants_are_written_with_their_zone() -> None:
    assert timespan.iso(1425652437.0) == "2015-03-06T14:33:57+00:00" and timespan.iso(0.25) == "1970-01-01T00:00:00.250000+00:00"
