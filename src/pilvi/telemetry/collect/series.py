"""Things with meters, as they come in: their resources and metrics are made when they are first met, and remembered.

What is remembered (which metric has which number) is checked by every write: a number that is gone is forgotten and met anew.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.http.app import Application
from pilvi.telemetry.archive import COUNTER, GAUGE
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resources import access, metric, resource
from pilvi.telemetry.resources.tables import Metric, MetricResource

COLLECTOR = "telemetry:"
"""Who made what is collected."""
MOST_REMEMBERED = 200_000
LONGEST = 366 * 86400.0


class Meter(Struct, frozen=True):
    """A number that a thing has now. `grows`: it counts up, and its changes are what matters."""
    name: str
    value: float
    unit: str
    grows: bool = False


class Thing(Struct):
    """Something measured. `original`: its id or, where it has none, its name."""
    kind: str
    original: str
    project_id: str | None
    user_id: str | None
    attributes: dict[str, Any]
    meters: list[Meter]
    started_at: float | None = None

    @property
    def id(self) -> str:
        return access.resource_id(self.original, COLLECTOR)


class Count(Struct):
    """A metric as it is remembered: its number, and (for one that counts up) where it stood last, `base` included."""
    number: int
    base: float = 0.0
    at: float = -math.inf
    value: float = 0.0

    def grown(self, at: float, value: float) -> tuple[float, bool]:
        """What to write for a counter's value, and whether it has begun again: a machine that was stopped counts from zero, and what it did
        before is not undone by that."""
        total = self.base + value
        if at <= self.at: return total, False
        began_again = total < self.value
        if began_again:
            self.base = self.value
            total = self.base + value
        self.at, self.value = at, total
        return total, began_again


class Known(Struct):
    """What is remembered of a thing."""
    attributes: dict[str, Any]
    project_id: str | None
    counts: dict[str, Count]


def take(application: Application, samples: Sequence[tuple[float, Thing]]) -> int:
    """Writes a batch of samples, (instant, thing), in one transaction. Repeatable (a sample of the same instant takes the other's place).
    Returns how many measures were taken."""
    memory: dict[str, Known] = application.state.setdefault("known_things", {})
    things = {thing.id: thing for _, thing in samples}
    try:
        with application.database.write() as db:
            met = [thing for _, thing in samples if not _same(memory.get(thing.id), thing)]
            if met: learn(db, memory, met)
            taken, gone = sql.write(db, _batch(db, memory, samples))
    except BaseException:
        for id in things: memory.pop(id, None)  # it would be ahead of the database
        raise
    if gone:
        for id in things:
            if gone & {count.number for count in memory[id].counts.values()}: del memory[id]
    while len(memory) > MOST_REMEMBERED: memory.pop(next(iter(memory)))
    return taken


def _batch(db: Session, memory: dict[str, Known], samples: Sequence[tuple[float, Thing]]) -> dict[int, list[tuple[float, float]]]:
    """{metric's number: samples}; notes which counters have begun again."""
    batch: dict[int, list[tuple[float, float]]] = {}
    for at, thing in samples:
        counts = memory[thing.id].counts
        for meter in thing.meters:
            count, value = counts[meter.name], meter.value
            if meter.grows:
                value, began_again = count.grown(at, value)
                if began_again: db.execute(update(Metric).where(Metric.number == count.number).values(base=count.base))
            batch.setdefault(count.number, []).append((at, value))
    return batch


def _same(known: Known | None, thing: Thing) -> bool:
    return (known is not None and known.project_id == thing.project_id and thing.attributes.items() <= known.attributes.items()
            and all(meter.name in known.counts for meter in thing.meters))


def learn(db: Session, memory: dict[str, Known], things: Sequence[Thing]) -> None:
    """Makes and revises the resources and metrics of things, in the caller's transaction, and remembers them. What one source does not know
    of a thing stays as another told it."""
    merged: dict[str, Thing] = {}
    for thing in things:
        known = merged.get(thing.id)
        merged[thing.id] = thing if known is None else structs.replace(
            thing, attributes=known.attributes | thing.attributes, meters=[*known.meters, *thing.meters])
    everything = list(merged.items())
    for first in range(0, len(everything), sql.AT_ONCE):
        some = dict(everything[first:first + sql.AT_ONCE])
        there = {row.id: row for row in db.scalars(select(MetricResource).where(MetricResource.id.in_(list(some))))}
        named = metric.of_resources(db, some)
        for id, thing in some.items():
            _resource(db, there.get(id), thing)
            rows = {row.name: row for row in named.get(id, [])}
            for meter in thing.meters:
                if meter.name in rows: continue
                rows[meter.name] = metric.make(db, COLLECTOR, COUNTER if meter.grows else GAUGE, meter.name, meter.unit, id)
            db.flush()
            memory[id] = Known(thing.attributes, thing.project_id, {str(row.name): _count(row) for row in rows.values()})


def _count(row: Metric) -> Count:
    if row.newest_at is None or row.newest is None: return Count(row.number, row.base)
    return Count(row.number, row.base, row.newest_at, row.newest)


def _resource(db: Session, row: MetricResource | None, thing: Thing) -> None:
    values = {"project_id": thing.project_id, "user_id": thing.user_id}
    if row is None:
        started = {} if thing.started_at is None else {"started_at": thing.started_at}
        resource.make(db, thing.kind, thing.id, thing.original, COLLECTOR, {**values, **started, "attributes": thing.attributes})
    else: resource.revise(db, row, {**values, "attributes": thing.attributes})


def end(db: Session, ids: Sequence[str], at: float) -> None:
    """These things are no more: their resources end, in the caller's transaction. Repeatable."""
    for row in db.scalars(select(MetricResource).where(MetricResource.id.in_(list(ids)), MetricResource.ended_at.is_(None))):
        resource.revise(db, row, {"ended_at": max(at, row.started_at)})


def forget(application: Application) -> None:
    """Of what was collected: measures of things that are no more go when their policy's spans have passed, and the things themselves when
    nothing of them can be left. (What users write themselves stays as long as they like.)"""
    now = clock.now()
    with application.database.read() as db:
        known = sql.policies(db)
        ended = MetricResource.creator == COLLECTOR, MetricResource.ended_at < now - LONGEST
        gone = list(db.scalars(select(MetricResource.id).where(*ended).limit(sql.AT_ONCE)))
    with application.database.write() as db:
        for name in (GAUGE, COUNTER):
            for level in known[name].levels:
                if level.span is not None: sql.expire(db, COLLECTOR, name, level.granularity, now - level.span)
        if gone: resource.remove(db, gone)
