"""What intervals cost: exactly, cut where prices change, by the row that fits best."""
from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry.rating.price import Price, charges, of_list
from pilvi.telemetry.rating.usage import Interval

AMOUNTS = st.decimals("0", "10", places=6)


def interval(begin: float, end: float, size: float = 2.0, **attributes: str) -> Interval:
    return Interval("server", "s1", "p1", begin, end, {"vcpu": size}, attributes)


def price(amount: str | Decimal, id: str = "x", *, since: float = 0.0, until: float | None = None, **attributes: str) -> Price:
    return Price(id, "server", "vcpu", Decimal(amount), attributes=attributes, since=since, until=until)


def cost(one: Interval, *prices: Price) -> Fraction:
    return sum((charge.cost for charge in charges(one, prices)), Fraction())


def test_an_hour_costs_the_amount_times_the_quantity() -> None:
    assert cost(interval(0, 3600), price("0.015")) == Fraction("0.03")
    assert cost(interval(0, 1), price("3600")) == 2


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), AMOUNTS)
def test_a_cut_costs_nothing(one: float, two: float, three: float, amount: Decimal) -> None:
    begin, middle, end = sorted((one, two, three))
    whole = cost(interval(begin, end), price(amount))
    assert whole == cost(interval(begin, middle), price(amount)) + cost(interval(middle, end), price(amount))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 100), AMOUNTS), max_size=5))
def test_each_second_costs_what_was_in_force(rows: list[tuple[int, int, Decimal]]) -> None:
    prices = [price(amount, f"{index:02}", since=since, until=since + length) for index, (since, length, amount) in enumerate(rows)]
    expected = Fraction()
    for second in range(150):
        valid = [one for one in prices if one.since <= second < (one.until or 1e9)]
        if valid: expected += 2 * Fraction(max(valid, key=lambda one: (one.since, one.id)).amount) / 3600
    found = charges(interval(0, 150), prices)
    assert sum((charge.cost for charge in found), Fraction()) == expected
    assert sum(charge.unit_seconds for charge in found) == 300


def test_the_row_that_names_most_counts() -> None:
    rows = [price("1", "a"), price("2", "b", flavor="m1"), price("3", "c", flavor="m1", state="stopped"), price("9", "d", flavor="m2")]
    assert cost(interval(0, 1800, flavor="m1", state="active"), *rows) == 2
    assert cost(interval(0, 1800, flavor="m1", state="stopped"), *rows) == 3
    assert cost(interval(0, 1800, flavor="m3", state="active"), *rows) == 1


def test_a_later_row_takes_over_from_an_earlier_one() -> None:
    assert cost(interval(0, 7200), price("1", "a"), price("2", "b", since=3600)) == 2 * 1 + 2 * 2


def test_what_has_no_price_is_free_and_still_told() -> None:
    found = charges(interval(0, 3600), [])
    assert [(charge.price, charge.cost, charge.unit_seconds) for charge in found] == [(None, 0, 7200)]


def test_a_bill_looks_at_its_currency_and_region_only() -> None:
    rows = [Price("a", "server", "vcpu", Decimal(1), "EUR"), Price("b", "server", "vcpu", Decimal(2), "CNY"),
            Price("c", "server", "vcpu", Decimal(3), "EUR", region="north"),
            Price("d", "server", "vcpu", Decimal(4), "EUR", region="south")]
    assert [row.id for row in of_list(rows, "EUR", "north")] == ["a", "c"]
    assert cost(interval(0, 1800), *of_list(rows, "EUR", "north")) == 3
