"""What a project used: the facts as rows, and over HTTP as intervals.

Source: Pilvi's own rating API, docs/rating.md, "Usage". `GET /v1/projects/{id}/usage`.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, and_, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.types import Instant, Json
from pilvi.core.errors import Forbidden, Invalid, NotFound
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.telemetry.rating.period import Period, period_of
from pilvi.telemetry.rating.usage import CENSUS, Fact, Interval, intervals_of_many


class UsageFact(Base):
    """A fact about a thing that costs; see rating/usage.py."""
    __tablename__ = "telemetry_usage_facts"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    resource_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    origin: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Instant)
    project_id: Mapped[str] = mapped_column(String(64))
    there: Mapped[bool] = mapped_column(Boolean)
    quantities: Mapped[dict[str, float]] = mapped_column(Json)
    attributes: Mapped[dict[str, str]] = mapped_column(Json)
    name: Mapped[str] = mapped_column(String(255), default="")
    __table_args__ = (Index("telemetry_usage_facts_of", "project_id", "at"),)


TABLE: Any = UsageFact.__table__


def add(db: Session, facts: Iterable[Fact]) -> None:
    """Writes facts; one that is known already stays as it is. In the caller's transaction."""
    rows = [{"kind": fact.kind, "resource_id": fact.resource_id, "origin": fact.origin, "number": fact.number, "at": fact.at,
             "project_id": fact.project_id, "there": fact.exists, "quantities": dict(fact.quantities), "attributes": dict(fact.attributes),
             "name": fact.name[:255]} for fact in facts]
    if not rows: return
    insert: Any = sqlite.insert if db.get_bind().dialect.name == "sqlite" else postgresql.insert
    db.execute(insert(TABLE).on_conflict_do_nothing(), rows)


def _fact(row: Any) -> Fact:
    return Fact(row.kind, row.resource_id, row.project_id, row.at, row.there, row.quantities, row.attributes, row.name, row.origin,
                row.number)


def _over(begin: float) -> Any:
    """Of a fact: that the thing had ended by then."""
    ended = TABLE.alias("ended")
    return exists().where(ended.c.kind == TABLE.c.kind, ended.c.resource_id == TABLE.c.resource_id, ended.c.there.is_(False),
                          ended.c.origin != CENSUS, ended.c.at <= begin)


def facts(db: Session, project_id: str | None, period: Period) -> list[Fact]:
    """All facts about what the project (None: anybody) may have had in the period."""
    mine = [TABLE.c.at < period.end, ~_over(period.begin)]
    if project_id is not None: mine.append(TABLE.c.project_id == project_id)
    things = select(TABLE.c.kind, TABLE.c.resource_id).where(*mine).distinct().subquery()
    joined = and_(TABLE.c.kind == things.c.kind, TABLE.c.resource_id == things.c.resource_id)
    return [_fact(row) for row in db.execute(select(TABLE).join(things, joined))]


def living(db: Session, kind: str) -> list[Fact]:
    """All facts about things of a kind that no event has ended."""
    return [_fact(row) for row in db.execute(select(TABLE).where(TABLE.c.kind == kind, ~_over(float("inf"))))]


def ended(db: Session, kind: str, ids: Iterable[str]) -> set[str]:
    """Those of the things that an event has ended."""
    found = select(TABLE.c.resource_id).where(TABLE.c.kind == kind, TABLE.c.resource_id.in_(list(ids)), TABLE.c.there.is_(False),
                                              TABLE.c.origin != CENSUS)
    return set(db.scalars(found))


def intervals(db: Session, project_id: str | None, period: Period) -> list[Interval]:
    """What the project (None: anybody) had in the period, thing by thing."""
    found = intervals_of_many(facts(db, project_id, period), period.begin, period.until)
    return [one for one in found if project_id in (None, one.project_id)]


def asked_period(call: Call) -> Period:
    """The period that a query names: ?month=2026-11, or ?begin=…&end=…; this month if nothing. Raises Invalid."""
    assert call.request is not None
    one = call.request.one
    try: return period_of(clock.now(), one("month"), *(clock.parse(text) if (text := one(name)) else None for name in ("begin", "end")))
    except ValueError as failure: raise Invalid(f"The period is not valid: {failure}") from None


def shown(one: Interval) -> dict[str, Any]:
    """An interval as the API shows it."""
    return {"kind": one.kind, "resource_id": one.resource_id, "project_id": one.project_id, "name": one.name,
            "begin": clock.iso(one.begin, fraction=True), "end": clock.iso(one.end, fraction=True), "open": one.open,
            "quantities": dict(one.quantities), "attributes": dict(one.attributes)}


def show_usage(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v1/projects/{id}/usage"""
    assert call.db is not None
    permit(call, project_id)
    period = asked_period(call)
    return {"usage": [shown(one) for one in intervals(call.db, project_id, period)], "begin": clock.iso(period.begin, fraction=True),
            "end": clock.iso(period.end, fraction=True)}


def permit(call: Call, project_id: str) -> None:
    """Raises NotFound for another project's bill: to the caller it does not exist."""
    if not call.allowed("rating:get_invoice", {"project_id": project_id}):
        if project_id == call.project_id: raise Forbidden(action="rating:get_invoice")
        raise NotFound()


RULES = {"rating:get_invoice": Rule("role:admin or (role:reader and project_id:%(project_id)s)")}
ROUTES = [Route("/v1/projects/{project_id}/usage", "GET", show_usage, None, transaction="read")]
