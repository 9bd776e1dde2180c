"""Consumer: whoever holds allocations (a server, a migration), and the one function that writes them.

A write replaces all that its consumers hold: what they had is given back and what they want is taken, in one transaction behind the gate:
no resource is promised twice and no half is ever seen.

Source: Placement API, "Allocations"; consumer generations since 1.28.
"""
from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Integer, String, bindparam, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.wire import Base
from pilvi.placement import errors
from pilvi.placement.resources import gate, provider, resource_class
from pilvi.placement.resources.inventory import TABLE as STOCK

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Project and user of consumers that were made before 1.8, which did not ask."""


class Consumer(Base):
    __tablename__ = "placement_consumers"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, default=0)
    project_id: Mapped[str] = mapped_column(String(255), index=True)
    user_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str | None] = mapped_column(String(255), nullable=True)


class Allocation(Base):
    __tablename__ = "placement_allocations"
    consumer_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    provider_id: Mapped[str] = mapped_column(String(36), primary_key=True, index=True)
    resource_class: Mapped[str] = mapped_column(String(255), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)


CONSUMERS: Any = Consumer.__table__
ALLOCATIONS: Any = Allocation.__table__
Amounts = dict[tuple[str, str], int]
"""{(provider, resource class): amount}"""


class Claim(Struct):
    """What a consumer shall hold from now on; nothing: it is forgotten."""
    consumer_id: str
    amounts: Amounts
    project_id: str | None = None
    user_id: str | None = None
    type: str | None = None
    generation: int | None = None


def held(call: Call, ids: list[str]) -> list[Any]:
    """The allocation rows of consumers."""
    assert call.db is not None
    return list(call.db.execute(select(ALLOCATIONS).where(ALLOCATIONS.c.consumer_id.in_(ids))))


def write(call: Call, claims: list[Claim], *, check_generations: bool) -> None:
    """Gives back what the consumers hold and takes what they claim. In the caller's write transaction.
    Raises ConsumerConflict, InventoryMissing, InventoryExceeded, ProviderUnknown, ClassUnknown."""
    assert call.db is not None
    number = gate.enter(call)
    ids = [claim.consumer_id for claim in claims]
    known = {row.id: row for row in call.db.execute(select(CONSUMERS).where(CONSUMERS.c.id.in_(ids)))}
    if check_generations: _check_generations(claims, known)
    before = held(call, ids)
    change: Amounts = {}
    for row in before: _add(change, (row.provider_id, row.resource_class), -row.used)
    for claim in claims:
        for place, amount in claim.amounts.items(): _add(change, place, amount)
    _check(call, claims, change)
    _write_stock(call, number, change, {place for claim in claims for place, _ in claim.amounts})
    if before: call.db.execute(delete(ALLOCATIONS).where(ALLOCATIONS.c.consumer_id.in_(ids)))
    if rows := [{"consumer_id": claim.consumer_id, "provider_id": place, "resource_class": name, "used": amount}
                for claim in claims for (place, name), amount in claim.amounts.items()]: call.db.execute(insert(ALLOCATIONS), rows)
    for claim in claims: _write_consumer(call, claim, known.get(claim.consumer_id))


def _add(amounts: Amounts, place: tuple[str, str], amount: int) -> None:
    amounts[place] = amounts.get(place, 0) + amount


def _check_generations(claims: list[Claim], known: dict[str, Any]) -> None:
    for claim in claims:
        actual = known[claim.consumer_id].generation if claim.consumer_id in known else None
        if claim.generation != actual:
            raise errors.ConsumerConflict(actual="null" if actual is None else actual,
                                          given="null" if claim.generation is None else claim.generation)


def _check(call: Call, claims: list[Claim], change: Amounts) -> None:
    """Is there enough, in portions the inventory allows? What only shrinks is always taken, even where a host was made smaller."""
    assert call.db is not None
    wanted = {place for claim in claims for place in claim.amounts}
    if not wanted: return
    providers = {place for place, _ in wanted}
    there = set(call.db.execute(select(provider.TABLE.c.id).where(provider.TABLE.c.id.in_(providers))).scalars())
    if missing := sorted(providers - there): raise errors.ProviderUnknown(id=missing[0])
    if unknown := resource_class.unknown(call, {name for _, name in wanted}):
        raise errors.AllocationClassUnknown(id=claims[0].consumer_id, names=", ".join(unknown))
    stock = {(row.provider_id, row.resource_class): row  # by one column: SQLite has no index for pairs in a list
             for row in call.db.execute(select(STOCK).where(STOCK.c.provider_id.in_(sorted(providers))))}
    for claim in claims:
        for place, amount in claim.amounts.items(): _check_portion(stock.get(place), place, amount)
    for place in wanted:
        row = stock[place]
        room = (row.total - row.reserved) * row.allocation_ratio - row.used
        if 0 < change[place] > room:
            raise errors.InventoryExceeded(id=place[0], resource_class=place[1], reason=(
                f"The requested amount would exceed the capacity: {change[place]} more, {room:g} are free."))


def _check_portion(row: Any, place: tuple[str, str], amount: int) -> None:
    if row is None: raise errors.InventoryMissing(id=place[0], resource_class=place[1])
    if not row.min_unit <= amount <= row.max_unit or amount % row.step_size:
        raise errors.InventoryExceeded(id=place[0], resource_class=place[1], reason=(
            f"The requested amount would violate inventory constraints: {amount} is not a multiple of {row.step_size} "
            f"between {row.min_unit} and {row.max_unit}."))


def _write_stock(call: Call, number: int, change: Amounts, givers: set[str]) -> None:
    """A provider's generation moves on when something is taken of it; giving back invalidates nobody's view, as upstream has it."""
    assert call.db is not None
    if moved := [{"p": place, "c": name, "d": amount} for (place, name), amount in change.items() if amount]:
        call.db.connection().execute(update(STOCK).where(STOCK.c.provider_id == bindparam("p"), STOCK.c.resource_class == bindparam("c"))
                                     .values(used=STOCK.c.used + bindparam("d")), moved)
    for ids, step in ((givers, 1), ({place for place, _ in change} - givers, 0)):
        if ids: call.db.execute(update(provider.TABLE).where(provider.TABLE.c.id.in_(sorted(ids))).values(
            generation=provider.TABLE.c.generation + step, changed=number, updated_at=clock.now()))


def _write_consumer(call: Call, claim: Claim, row: Any) -> None:
    assert call.db is not None
    if not claim.amounts:
        if row is not None: call.db.execute(delete(CONSUMERS).where(CONSUMERS.c.id == claim.consumer_id))
    elif row is None:
        call.db.execute(insert(CONSUMERS), [{"id": claim.consumer_id, "generation": 1, "project_id": claim.project_id or NOBODY,
                                             "user_id": claim.user_id or NOBODY, "type": claim.type}])
    else:
        call.db.execute(update(CONSUMERS).where(CONSUMERS.c.id == claim.consumer_id).values(
            generation=row.generation + 1, project_id=claim.project_id or row.project_id, user_id=claim.user_id or row.user_id,
            type=claim.type or row.type))
