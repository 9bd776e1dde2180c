"""The price list: what a unit of a kind of thing costs in an hour, from when until when.

Source: Pilvi's own rating API, docs/rating.md, "Prices". What was charged stays charged: a price can begin or end now or later, not in the
past. Everybody may read the list; administrators write it.
"""
from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.session import Database
from pilvi.core.dialect import TELEMETRY
from pilvi.core.errors import Conflict, Invalid
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, Identified, Timed, field, instant, mapping, one_of, text
from pilvi.telemetry.rating import price as rated
from pilvi.telemetry.rating.units import UNITS

GRACE_SECONDS = 60.0
"""So much of the past is taken for now: clocks differ."""


class PastStands(Invalid):
    """What was charged stays charged: {name} must not be in the past."""


class Over(Conflict):
    """The price is not in force any more."""


class PriceRow(Identified, Timed, Base):
    __tablename__ = "telemetry_prices"
    kind: Mapped[str] = field(one_of(*UNITS), create=REQUIRED)
    unit: Mapped[str] = field(text(32), create=REQUIRED)
    amount: Mapped[str] = field(text(24, r"[0-9]{1,12}(\.[0-9]{1,9})?"), create=REQUIRED)
    currency: Mapped[str] = field(text(3, r"[A-Z]{3}"), create=OPTIONAL, nullable=False)
    region: Mapped[str] = field(text(255), create=OPTIONAL, default="")
    attributes: Mapped[dict[str, str]] = field(mapping(64), create=OPTIONAL, default=dict, filter=False)
    description: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    valid_from: Mapped[float] = field(instant(), create=OPTIONAL, nullable=False)
    valid_until: Mapped[float | None] = field(instant(), create=OPTIONAL, update=True)


def furnish(database: Database, config: Any) -> None:
    """Gives a new cloud the price list of its configuration, in force from ever on."""
    with database.write() as db:
        if db.scalar(select(PriceRow.id).limit(1)) is not None: return
        db.add_all(PriceRow(kind=one.kind, unit=one.unit, amount=one.amount, currency=config.currency, attributes=dict(one.attributes),
                            valid_from=0.0, description="from the configuration") for one in config.prices)


def prices(db: Session) -> list[rated.Price]:
    """The whole list."""
    return [rated.Price(row.id, row.kind, row.unit, Decimal(row.amount), row.currency, row.attributes or {}, row.region, row.valid_from,
                        row.valid_until) for row in db.scalars(select(PriceRow))]


def check(call: Call, row: PriceRow, body: dict[str, Any]) -> None:
    """Fills in what was not given, and refuses what makes no sense."""
    assert call.application is not None
    if row.unit not in UNITS[row.kind]: raise Invalid(f"The units of {row.kind} are {', '.join(UNITS[row.kind])}.")
    row.currency = row.currency or call.application.config.currency
    row.region, row.attributes = row.region or "", row.attributes or {}
    now = clock.now()
    row.valid_from = now if row.valid_from is None else max(row.valid_from, _not_past("valid_from", row.valid_from))
    if row.valid_until is not None and row.valid_until <= row.valid_from: raise Invalid("valid_until must be after valid_from.")


def _not_past(name: str, at: float) -> float:
    now = clock.now()
    if at < now - GRACE_SECONDS: raise PastStands(name=name)
    return now


def change(call: Call, row: PriceRow, changes: dict[str, Any]) -> None:
    """Only the end and the description change."""
    if "valid_until" not in changes: return
    if row.valid_until is not None and row.valid_until <= clock.now(): raise Over()
    until = changes["valid_until"]
    if until is None: return
    changes["valid_until"] = max(until, _not_past("valid_until", until))
    if changes["valid_until"] <= row.valid_from: raise Invalid("valid_until must be after valid_from.")


def end(call: Call, row: PriceRow) -> bool:
    """A price that was ever in force ends now and stays in the list; one of the future goes."""
    now = clock.now()
    if row.valid_from > now: return False
    if row.valid_until is None or row.valid_until > now: row.valid_until = now
    return True


RESOURCE = Resource(PriceRow, "price", "/v1/prices", TELEMETRY, owner=None, policy={
    "list": "anyone", "show": "anyone", "create": "admin", "update": "admin", "delete": "admin"}, on_create=check, on_update=change,
    on_delete=end, default_sort=[("kind", False), ("unit", False), ("valid_from", False)])
