"""A bill: lines per thing, unit and price, with sums; as data, and as comma-separated text."""
from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from pilvi.telemetry.rating.price import HOUR, Price, charges, seconds_between
from pilvi.telemetry.rating.usage import Interval

CENTS = Decimal("0.0001")
HOURS = Decimal("0.000001")
COLUMNS = ("kind", "resource_id", "name", "attributes", "begin", "end", "seconds", "unit", "quantity", "unit_hours", "price", "currency",
           "cost")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True)
class Line:
    """What one thing cost in one unit at one price. `cost` is rounded; sums are sums of what is shown."""
    kind: str
    resource_id: str
    name: str
    attributes: dict[str, str]
    begin: float
    end: float
    seconds: Decimal
    unit: str
    quantity: float
    unit_hours: Decimal
    price: Decimal | None
    cost: Decimal


def lines_of(intervals: Iterable[Interval], prices: Sequence[Price]) -> list[Line]:
    """The lines of a bill; pieces at the same price and with the same quantity and attributes are one line. A unit without a price is
    told of only if the thing has none with one."""
    apart: dict[tuple[Any, ...], list[Any]] = {}
    for interval in intervals:
        found = charges(interval, prices)
        priced = any(charge.price for charge in found)
        for charge in found:
            if priced and charge.price is None: continue
            key = (interval.kind, interval.resource_id, tuple(sorted(interval.attributes.items())), charge.unit, charge.quantity,
                   charge.price.id if charge.price else "")
            apart.setdefault(key, []).append(charge)
    return [_line(pieces) for pieces in apart.values()]


def _line(pieces: list[Any]) -> Line:
    first, last = pieces[0], pieces[-1]
    seconds = sum((seconds_between(piece.begin, piece.end) for piece in pieces), Fraction())
    return Line(first.interval.kind, first.interval.resource_id, last.interval.name, dict(first.interval.attributes), first.begin, last.end,
                rounded(seconds, HOURS), first.unit, float(first.quantity),
                rounded(sum((piece.unit_seconds for piece in pieces), Fraction()) / HOUR, HOURS),
                first.price.amount if first.price else None, rounded(sum((piece.cost for piece in pieces), Fraction()), CENTS))


def rounded(value: Fraction, step: Decimal) -> Decimal:
    """To the step, halves to the even neighbour."""
    scale = Fraction(step)
    whole = Decimal(round(value / scale))  # Python rounds halves of a fraction to the even neighbour
    return (whole * step).quantize(step, ROUND_HALF_EVEN)


def total(lines: Iterable[Line]) -> Decimal:
    """The sum of the lines as they are shown."""
    return sum((line.cost for line in lines), Decimal(0)).quantize(CENTS)


def totals(lines: Iterable[Line]) -> dict[str, Decimal]:
    """{kind: its sum}"""
    found: dict[str, Decimal] = {}
    for line in lines: found[line.kind] = found.get(line.kind, Decimal(0)) + line.cost
    return {kind: amount.quantize(CENTS) for kind, amount in sorted(found.items())}


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """The shown lines as comma-separated text with a heading; a name can't become a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows: writer.writerow({name: _cell(row.get(name)) for name in COLUMNS})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict): value = " ".join(f"{name}={word}" for name, word in sorted(value.items()))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
