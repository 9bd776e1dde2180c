"""Measures in the service's own database: rolled up as they arrive, a row per bucket.

All functions work in the caller's transaction. A batch of any size is read once (the metrics' latest samples), planned (`aggregate.plan`)
and written with five statements, executed many times each. What a policy keeps no longer goes when a series has moved on by a sixteenth of
its span, so that a level holds at most 17/16 of its points.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, delete, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.orm import Session

from pilvi.telemetry import aggregate
from pilvi.telemetry.aggregate import Part, Sample
from pilvi.telemetry.archive import Policy, policy
from pilvi.telemetry.errors import Malformed
from pilvi.telemetry.resources.tables import ArchivePolicy, Bucket, Kept, Metric

Row = dict[str, Any]
MOST_READ = 500_000
"""Buckets that one reading gives."""
AT_ONCE = 500
"""How many metrics a query names."""
TABLE: Any = Bucket.__table__
METRICS: Any = Metric.__table__
_NEWEST = update(METRICS).where(METRICS.c.number == bindparam("m")).values(newest_at=bindparam("at"), newest=bindparam("value"))
SAMPLES: Any = Kept.__table__
_PRUNE = delete(TABLE).where(TABLE.c.metric == bindparam("m"), TABLE.c.rate == bindparam("r"), TABLE.c.granularity == bindparam("g"),
                             TABLE.c.at < bindparam("until"))
_OLDER: Any = SAMPLES.alias()
_FORGET = delete(SAMPLES).where(SAMPLES.c.metric == bindparam("m"), SAMPLES.c.at < select(func.max(_OLDER.c.at)).where(
    _OLDER.c.metric == bindparam("m"), _OLDER.c.at < bindparam("until")).scalar_subquery())
KEY = ("metric", "rate", "granularity", "at")
VALUES = ("n", "total", "least", "most", "first_at", "first", "last_at", "last", "squares", "more")
NEEDS = {"min": ("least",), "max": ("most",), "first": ("first_at", "first"), "last": ("last_at", "last"), "std": ("squares",)}
"""Columns beside `n` and `total`, by method."""


def policies(db: Session) -> dict[str, Policy]:
    """{name: policy} of all archive policies."""
    return {row.name: policy(row.definition, row.aggregation_methods, row.back_window) for row in db.scalars(select(ArchivePolicy))}


def write(db: Session, batch: Mapping[int, Sequence[Sample]]) -> tuple[int, set[int]]:
    """Takes new samples, {metric's number: samples}. Returns how many were taken, and the metrics that do not exist."""
    known = policies(db)
    merges: list[Row] = []
    replaces: list[Row] = []
    keeps: list[Row] = []
    newest: list[Row] = []
    prunes: list[Row] = []
    forgets: list[Row] = []
    taken, gone = 0, {number for number, samples in batch.items() if samples}
    for number, name, before in _latest(db, [number for number, samples in batch.items() if samples]):
        gone.discard(number)
        chosen = known[name]
        samples = sorted(batch[number], key=itemgetter(0))
        kept = _kept(db, number) if aggregate.late(chosen, before, samples) else None
        plan = aggregate.plan(chosen, before, samples, kept)
        taken += len(plan.keep)
        columns = {rate: _columns(chosen.of(rate)) for rate in (False, True)}
        merges += [_row(number, key, part, columns[key[0]]) for key, part in plan.merge.items()]
        replaces += [_row(number, key, part, columns[key[0]]) for key, part in plan.replace.items()]
        keeps += [{"metric": number, "at": at, "value": value} for at, value in plan.keep]
        if plan.newest is None: continue
        newest.append({"m": number, "at": plan.newest[0], "value": plan.newest[1]})
        prunes += _old_buckets(number, chosen, before, plan.newest)
        if before is None or aggregate.kept_since(chosen, before[0]) < aggregate.kept_since(chosen, plan.newest[0]):
            forgets.append({"m": number, "until": aggregate.kept_since(chosen, plan.newest[0])})
    _upsert(db, merges, merging=True)
    _upsert(db, replaces, merging=False)
    _keep(db, keeps)
    _many(db, _NEWEST, newest)
    _many(db, _PRUNE, prunes)
    _many(db, _FORGET, forgets)
    return taken, gone


def _latest(db: Session, numbers: list[int]) -> Iterable[tuple[int, str, Sample | None]]:
    for first in range(0, len(numbers), AT_ONCE):
        rows = db.execute(select(Metric.number, Metric.archive_policy_name, Metric.newest_at, Metric.newest)
                          .where(Metric.number.in_(numbers[first:first + AT_ONCE])).order_by(Metric.number).with_for_update()).all()
        for number, name, at, value in rows: yield number, name, None if at is None or value is None else (at, value)


def _kept(db: Session, number: int) -> list[Sample]:
    return [(at, value) for at, value in db.execute(select(Kept.at, Kept.value).where(Kept.metric == number).order_by(Kept.at))]


@lru_cache(256)
def _columns(methods: frozenset[str]) -> frozenset[str]:
    return frozenset({"n", "total", "more"}).union(*(NEEDS.get(method, ()) for method in methods))


def _row(number: int, key: aggregate.Key, part: Part, columns: frozenset[str]) -> Row:
    row: Row = {"metric": number, "rate": key[0], "granularity": key[1], "at": key[2]}
    for name in VALUES: row[name] = getattr(part, name) if name in columns else None
    if part.more: row["more"] = msgspec.json.encode(part.more).decode()
    return row


_INSERT: dict[str, Any] = {"sqlite": insert_sqlite, "postgresql": insert_postgresql}


def _upsert(db: Session, rows: list[Row], *, merging: bool) -> None:
    if rows: _many(db, _upserting(db.get_bind().dialect.name, merging), rows)


@lru_cache(8)
def _upserting(dialect: str, merging: bool) -> Any:
    statement = _INSERT[dialect](TABLE)
    new, old = statement.excluded, TABLE.c
    changed = _merged(old, new) if merging else {name: new[name] for name in VALUES}
    return statement.on_conflict_do_update(index_elements=list(KEY), set_=changed)


def _many(db: Session, statement: Any, rows: list[Row]) -> None:
    """Executes a statement for each row, without SQLAlchemy's work per row, which costs three times the database's own (measured)."""
    if not rows: return
    connection = db.connection()
    text, order = _compiled(connection.dialect, statement)
    connection.exec_driver_sql(text, [tuple(row[name] for name in order) for row in rows] if order else rows)


@lru_cache(32)
def _compiled(dialect: Any, statement: Any) -> tuple[str, tuple[str, ...]]:
    """The SQL, and the order of its parameters where they have no names."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ())


def _merged(old: Any, new: Any) -> dict[str, Any]:
    """`aggregate.merged` in SQL; a column that is NULL stays so."""
    apart = new.total / new.n - old.total / old.n
    earlier, later = new.first_at < old.first_at, new.last_at >= old.last_at
    return {"n": old.n + new.n, "total": old.total + new.total,
            "least": case((new.least < old.least, new.least), else_=old.least),
            "most": case((new.most > old.most, new.most), else_=old.most),
            "first_at": case((earlier, new.first_at), else_=old.first_at), "first": case((earlier, new.first), else_=old.first),
            "last_at": case((later, new.last_at), else_=old.last_at), "last": case((later, new.last), else_=old.last),
            "squares": old.squares + new.squares + apart * apart * (literal_column("1.0") * old.n * new.n / (old.n + new.n))}


def _keep(db: Session, rows: list[Row]) -> None:
    if rows: _many(db, _keeping(db.get_bind().dialect.name), rows)


@lru_cache(8)
def _keeping(dialect: str) -> Any:
    statement = _INSERT[dialect](SAMPLES)
    return statement.on_conflict_do_update(index_elements=["metric", "at"], set_={"value": statement.excluded.value})


def _old_buckets(number: int, chosen: Policy, before: Sample | None, newest: Sample) -> Iterable[Row]:
    """What its levels keep no longer, once a series has moved on far enough for it to be worth a statement."""
    for level in chosen.levels:
        if level.span is None: continue
        step = max(level.granularity, level.span / 16)
        if before is not None and aggregate.floor(before[0], step) == aggregate.floor(newest[0], step): continue
        until = kept_from(level.granularity, level.span, newest[0])
        for rate in chosen.kinds: yield {"m": number, "r": rate, "g": level.granularity, "until": until}


def kept_from(granularity: float, span: float | None, newest_at: float) -> float:
    """The first bucket that a level keeps, given the metric's newest sample."""
    return -float("inf") if span is None else aggregate.floor(newest_at, granularity) - span + granularity


def read(db: Session, metrics: Sequence[Metric], method: str, granularity: float, start: float | None = None, stop: float | None = None,
         known: Mapping[str, Policy] | None = None) -> dict[int, list[Sample]]:
    """{metric's number: [(begin of the bucket, value)]} of an aggregation method at one granularity that all these metrics keep, from the
    bucket of `start` until before `stop`. Raises Malformed for more than anybody should hold in memory."""
    known = policies(db) if known is None else known
    plain, rate = method.removeprefix("rate:"), method.startswith("rate:")
    found: dict[int, list[Sample]] = {metric.number: [] for metric in metrics}
    since = {metric.number: _since(known[metric.archive_policy_name], granularity, metric.newest_at) for metric in metrics}
    columns = [TABLE.c[name] for name in VALUES]
    limits = [TABLE.c.rate == rate, TABLE.c.granularity == granularity]
    if start is not None: limits.append(TABLE.c.at >= aggregate.floor(start, granularity))
    if stop is not None: limits.append(TABLE.c.at < stop)
    numbers, left = list(found), MOST_READ
    for first in range(0, len(numbers), AT_ONCE):
        chosen = TABLE.c.metric.in_(numbers[first:first + AT_ONCE])
        rows = db.execute(select(TABLE.c.metric, TABLE.c.at, *columns).where(chosen, *limits).order_by(TABLE.c.metric, TABLE.c.at)
                          .limit(left + 1))
        for number, at, *values in rows:
            left -= 1
            if left < 0: raise Malformed(reason=f"More than {MOST_READ} measures: ask for a shorter time or a coarser granularity")
            if at < since[number]: continue
            value = Part(*values).value(plain)
            if value is not None: found[number].append((at, value))
    return found


def _since(chosen: Policy, granularity: float, newest_at: float | None) -> float:
    level = chosen.level(granularity)
    return kept_from(granularity, level.span, newest_at) if level and newest_at is not None else 0.0


def remove(db: Session, numbers: Sequence[int]) -> None:
    """Forgets metrics with all their measures."""
    for first in range(0, len(numbers), AT_ONCE):
        some = list(numbers[first:first + AT_ONCE])
        for table, column in ((Bucket, Bucket.metric), (Kept, Kept.metric), (Metric, Metric.number)):
            db.execute(delete(table).where(column.in_(some)))


def expire(db: Session, creator: str, policy_name: str, granularity: float, before: float) -> None:
    """Forgets the buckets of one granularity, and the samples, from before an instant, of a creator's metrics that have had no sample
    since."""
    idle = select(Metric.number).where(Metric.creator == creator, Metric.archive_policy_name == policy_name, Metric.newest_at < before)
    for rate in (False, True):
        chosen = Bucket.metric.in_(idle), Bucket.rate == rate, Bucket.granularity == granularity
        db.execute(delete(Bucket).where(*chosen, Bucket.at < before))
    db.execute(delete(Kept).where(Kept.metric.in_(idle), Kept.at < before))
