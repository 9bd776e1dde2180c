"""What a unit costs: the rows of a price list, which of them counts when, and what an interval costs by them.

A row names a kind of thing, a unit of it, and perhaps attributes ({"flavor": "m1.small"}); of the rows that fit, the one that names most
counts, and of those the one that came into force last. Amounts are fractions until they are shown, so nothing is lost on the way.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from pilvi.telemetry.rating.usage import Interval

MICROSECONDS = 1_000_000
HOUR = 3600


@dataclass(frozen=True)
class Price:
    """A row. `amount`: of the currency, for one unit during one hour. `until` None: in force for good."""
    id: str
    kind: str
    unit: str
    amount: Decimal
    currency: str = "EUR"
    attributes: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    """Empty: in every region."""
    since: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class Charge:
    """A piece of an interval at one price. `unit_seconds` = quantity × duration."""
    interval: Interval
    begin: float
    end: float
    unit: str
    quantity: Fraction
    price: Price | None
    """None: the list has no price for it, so it is free."""

    @property
    def unit_seconds(self) -> Fraction:
        return self.quantity * seconds_between(self.begin, self.end)

    @property
    def cost(self) -> Fraction:
        return self.unit_seconds * Fraction(self.price.amount) / HOUR if self.price else Fraction(0)


def seconds_between(begin: float, end: float) -> Fraction:
    """Exactly, in microseconds: pieces add up to the whole however it is cut."""
    return Fraction(round(end * MICROSECONDS) - round(begin * MICROSECONDS), MICROSECONDS)


def charges(interval: Interval, prices: Sequence[Price]) -> list[Charge]:
    """What the interval costs, cut wherever another price comes into force; `prices` are of one currency and region."""
    made = []
    for unit, quantity in sorted(interval.quantities.items()):
        fitting = [price for price in prices if _fits(price, interval, unit)]
        edges = sorted({interval.begin, interval.end, *(edge for price in fitting for edge in (price.since, price.until)
                                                        if edge is not None and interval.begin < edge < interval.end)})
        for begin, end in pairwise(edges):
            made.append(Charge(interval, begin, end, unit, Fraction(quantity), _in_force(fitting, begin)))
    return made


def of_list(prices: Iterable[Price], currency: str, region: str) -> list[Price]:
    """The rows of a list that a bill in this currency and region looks at."""
    return [price for price in prices if price.currency == currency and price.region in ("", region)]


def _fits(price: Price, interval: Interval, unit: str) -> bool:
    return (price.kind == interval.kind and price.unit == unit
            and all(interval.attributes.get(name) == value for name, value in price.attributes.items()))


def _in_force(fitting: Sequence[Price], at: float) -> Price | None:
    valid = [price for price in fitting if price.since <= at and (price.until is None or at < price.until)]
    return max(valid, key=lambda price: (len(price.attributes), bool(price.region), price.since, price.id), default=None)
