"""Bills: lines, sums of what is shown, text for spreadsheets."""
from __future__ import annotations

import csv
import io
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry.rating.bill import CENTS, as_csv, lines_of, rounded, total, totals
from pilvi.telemetry.rating.price import Price
from pilvi.telemetry.rating.usage import Interval

PRICES = [Price("cpu", "server", "vcpu", Decimal("0.02")), Price("off", "server", "vcpu", Decimal(0), attributes={"state": "stopped"}),
          Price("gib", "volume", "gib", Decimal("0.001"))]


def server(begin: float, end: float, state: str = "active", id: str = "s1") -> Interval:
    return Interval("server", id, "p1", begin, end, {"vcpu": 2.0}, {"state": state}, "web")


def test_pieces_of_the_same_kind_are_one_line() -> None:
    found = lines_of([server(0, 3600), server(3600, 7200, "stopped"), server(7200, 9000)], PRICES)
    assert [(line.attributes["state"], line.seconds, line.unit_hours, line.price, line.cost) for line in found] == [
        ("active", Decimal(5400), Decimal(3), Decimal("0.02"), Decimal("0.0600")), ("stopped", Decimal(3600), Decimal(2), 0, 0)]
    assert (found[0].begin, found[0].end) == (0, 9000)


def test_sums_are_sums_of_what_is_shown() -> None:
    volume = Interval("volume", "v1", "p1", 0, 1234.5, {"gib": 3.0}, {}, "data")
    found = lines_of([server(0, 3600), server(0, 100, id="s2"), volume], PRICES)
    assert total(found) == sum(line.cost for line in found)
    assert totals(found) == {"server": Decimal("0.0411"), "volume": Decimal("0.0010")}


@given(st.fractions(-1000, 1000))
def test_rounding_is_to_the_nearest(value: Fraction) -> None:
    shown = rounded(value, CENTS)
    assert abs(Fraction(shown) - value) <= Fraction(1, 20000)
    assert shown.as_tuple().exponent == -4


def test_halves_go_to_the_even_neighbour() -> None:
    assert [rounded(Fraction(n, 20000), CENTS) for n in (1, 3, 5)] == [Decimal("0.0000"), Decimal("0.0002"), Decimal("0.0002")]


def test_a_name_cannot_become_a_formula() -> None:
    text = as_csv([{"kind": "server", "name": "=HYPERLINK(1)", "attributes": {"b": "2", "a": "1,5"}, "cost": "1.0000"},
                   {"kind": "server", "name": "Größe\n,\""}])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[0]["name"], rows[0]["attributes"], rows[0]["cost"]) == ("'=HYPERLINK(1)", "a=1,5 b=2", "1.0000")
    assert rows[1]["name"] == "Größe\n,\""
