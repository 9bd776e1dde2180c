"""The gate: every change of placement passes it, one at a time, and gets a number.

The number is written on each provider that the change touches. Whoever remembers the last number it has seen can read just what changed
since. On SQLite the write lock is the gate anyway; elsewhere it is the counter's row, locked until commit, so numbers are also the order of
commits. That makes check-then-write safe: no claim can slip between another's check and its write.

Source: own; upstream retries on generation conflicts instead.
"""
from __future__ import annotations

from email.utils import formatdate
from typing import Any

from sqlalchemy import BigInteger, Integer, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Application
from pilvi.core.wire import Base

ADMIN_OR_SERVICE = "role:admin or role:service"


class Counter(Base):
    __tablename__ = "placement_counter"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)


def prepare(application: Application) -> None:
    """Makes the counter's row. Repeatable."""
    with application.database.write() as db:
        if db.get(Counter, 1) is None: db.add(Counter(id=1, number=0))


def enter(call: Call) -> int:
    """The number of this change. In the caller's write transaction, before it reads anything it decides on."""
    assert call.db is not None
    return int(call.db.execute(update(Counter).values(number=Counter.number + 1).returning(Counter.number)).scalar_one())


def last(db: Any) -> int:
    """The number of the last change that is visible."""
    return int(db.execute(select(Counter.number)).scalar_one())


def dated(call: Call, instant: float | None = None) -> None:
    """Adds the headers that say how fresh an answer is (since 1.15)."""
    if call.version >= (1, 15):
        call.headers |= {"Last-Modified": formatdate(clock.now() if instant is None else instant, usegmt=True), "Cache-Control": "no-cache"}
