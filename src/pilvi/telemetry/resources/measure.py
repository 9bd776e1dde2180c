"""Measures: what is written to metrics, alone or in batches, and read of one.

Source: Gnocchi REST API, "Measures", "Batching", "Value of metrics", "Search for values". What was written can be read at once.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.telemetry import errors, operations, search, timespan
from pilvi.telemetry.aggregate import Sample
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resources import access, metric, resource
from pilvi.telemetry.resources.tables import Metric, MetricResource

MOST_IN_BATCH = 100_000


def samples_of(given: Any, *path: Any) -> list[Sample]:
    """The measures of a body, [{timestamp, value}]. Raises Malformed."""
    if not isinstance(given, list): raise errors.invalid("unexpected measures format", *path)
    now, found = clock.now(), []
    for one in given:
        if not isinstance(one, dict) or "timestamp" not in one: raise errors.invalid("unexpected measures format", *path)
        try: at = timespan.instant(one["timestamp"], now)
        except ValueError as failure: raise errors.invalid(f"unexpected timestamp '{failure}'", *path) from None
        try: value = float(one["value"])
        except (KeyError, TypeError, ValueError): raise errors.invalid("unexpected measures value", *path) from None
        if not math.isfinite(value): raise errors.invalid("unexpected measures value", *path)
        found.append((at, value))
    return found


def _write(db: Session, batch: Mapping[int, list[Sample]]) -> Response:
    if sum(map(len, batch.values())) > MOST_IN_BATCH: raise errors.invalid(f"at most {MOST_IN_BATCH} measures in one request")
    sql.write(db, batch)
    return Response(202)


def add(call: Call, metric_id: str) -> Response:
    """POST /v1/metric/{id}/measures"""
    assert call.db is not None
    row = metric.find(call, metric_id, "post measures")
    return _write(call.db, {row.number: samples_of(errors.json_of(call.body))})


def add_named(call: Call, kind: str, id: str, name: str) -> Response:
    """POST /v1/resource/{type}/{id}/metric/{name}/measures"""
    assert call.db is not None
    row = resource.find_named(call, kind, id, name, "post measures")
    return _write(call.db, {row.number: samples_of(errors.json_of(call.body))})


def add_batch(call: Call) -> Response:
    """POST /v1/batch/metrics/measures: {metric's id: measures}"""
    assert call.db is not None
    if not isinstance(call.body, dict): raise errors.invalid("expected a dictionary")
    batch: dict[str, list[Sample]] = {}
    for key, given in call.body.items():
        try: id = str(UUID(key))
        except ValueError: raise errors.invalid("extra keys not allowed", key) from None
        batch[id] = samples_of(given, key)
    rows = {row.id: row for row in call.db.scalars(select(Metric).where(Metric.id.in_(list(batch))))}
    if missing := sorted(set(batch) - set(rows)): raise errors.Malformed(reason=f"Unknown metrics: {', '.join(missing)}")
    for row in rows.values(): access.permit_metric(call, "post measures", row)
    return _write(call.db, {rows[id].number: samples for id, samples in batch.items()})


def add_batch_named(call: Call) -> Response:
    """POST /v1/batch/resources/metrics/measures: {resource's id: {metric's name: measures, or {measures, archive_policy_name, unit}}}"""
    assert call.db is not None
    create, made_by = access.flag(call, "create_metrics"), access.creator(call)
    if not isinstance(call.body, dict): raise errors.invalid("expected a dictionary")
    batch: dict[int, list[Sample]] = {}
    unknown, unknown_resources = [], []
    for original, by_name in call.body.items():
        if not isinstance(by_name, dict): raise errors.invalid("expected a dictionary", original)
        try: id = access.resource_id(original, made_by)
        except ValueError as failure: raise errors.invalid(str(failure), original) from None
        known = {row.name: row for row in call.db.scalars(select(Metric).where(Metric.resource_id == id, Metric.name.in_(list(by_name))))}
        there = call.db.get(MetricResource, id)
        if there is None and create and by_name: unknown_resources.append({"resource_id": id, "original_resource_id": original})
        for name, given in by_name.items():
            facts = given if isinstance(given, dict) else {"measures": given}
            samples = samples_of(facts.get("measures"), original, name)
            row = known.get(name)
            if row is None and create and there is not None:
                access.permit(call, "update resource", there.creator, there.project_id)
                shape = {key: value for key, value in facts.items() if key != "measures"}
                definition = metric.wanted(call, shape, original, name, name=name, of_resource=True)
                row = metric.make(call.db, made_by, definition.policy, name, definition.unit, id)
                call.db.flush()
            if row is None: unknown.append(f"{id}/{name}")
            else:
                access.permit_metric(call, "post measures", row)
                batch[row.number] = samples
    if unknown_resources:
        raise errors.Malformed(reason="Unknown resources", description={"cause": "Unknown resources", "detail": unknown_resources})
    if unknown: raise errors.Malformed(reason=f"Unknown metrics: {', '.join(sorted(unknown))}")
    return _write(call.db, batch)


# -- reading


def instant_of(call: Call, name: str) -> float | None:
    """An instant of the query. Raises Malformed."""
    assert call.request is not None
    given = call.request.one(name)
    if given is None: return None
    try: return timespan.instant(given, clock.now())
    except ValueError: raise errors.argument(name, "Must be a datetime or a timestamp") from None


def granularity_of(call: Call) -> float | None:
    """The granularity of the query, in seconds. Raises Malformed."""
    assert call.request is not None
    given = call.request.one("granularity")
    if given is None: return None
    try: return timespan.length(given)
    except ValueError as failure: raise errors.argument("granularity", str(failure)) from None


def shown(granularity: float | str, samples: list[Sample]) -> list[list[Any]]:
    """Measures as the API writes them: [instant, granularity, value]."""
    return [[timespan.iso(at), granularity, value] for at, value in samples]


def no_such_method(row: Metric, method: str) -> errors.AggregationUnknown:
    """A policy that does not keep the aggregation method."""
    return errors.AggregationUnknown(method=method, granularity="any", id=row.id, description={
        "cause": "Aggregation method does not exist for this metric", "detail": {"metric": row.id, "aggregation_method": method}})


def levels_of(db: Session, row: Metric, method: str, granularity: float | None) -> list[float]:
    """The granularities to read, from the coarsest on. Raises AggregationUnknown."""
    policy = sql.policies(db)[row.archive_policy_name]
    if method not in policy.methods: raise no_such_method(row, method)
    if granularity is None: return [level.granularity for level in reversed(policy.levels)]
    if policy.level(granularity) is None: raise errors.AggregationUnknown(method=method, granularity=granularity, id=row.id)
    return [granularity]


def _measures(call: Call, row: Metric) -> Any:
    assert call.db is not None and call.request is not None
    method = call.request.one("aggregation") or "mean"
    start, stop, granularity = instant_of(call, "start"), instant_of(call, "stop"), granularity_of(call)
    resample = call.request.one("resample")
    if resample and granularity is None: raise errors.Malformed(reason="A granularity must be specified to resample")
    step = operations.resampling(resample, "resample") if resample else None
    access.flag(call, "refresh")
    found = []
    for level in levels_of(call.db, row, method, granularity):
        samples = sql.read(call.db, [row], method, level, start, stop)[row.number]
        if step is None:
            found += shown(level, samples)
            continue
        grid = operations.side_by_side(level, [samples], [[row.id, method]], None)
        longer = operations.resampled(method.removeprefix("rate:"), step, grid)
        found += shown(longer.granularity, list(zip(longer.times, longer.columns[0], strict=True)))
    return found


def show(call: Call, metric_id: str) -> Any:
    """GET /v1/metric/{id}/measures"""
    return _measures(call, metric.find(call, metric_id))


def show_named(call: Call, kind: str, id: str, name: str) -> Any:
    """GET /v1/resource/{type}/{id}/metric/{name}/measures"""
    return _measures(call, resource.find_named(call, kind, id, name))


def search_values(call: Call) -> Any:
    """POST /v1/search/metric?metric_id=…: the measures whose value fulfils a query"""
    assert call.db is not None and call.request is not None
    ids = [value for key, value in call.request.query if key == "metric_id"]
    if not call.request.body: raise errors.Malformed(reason="No query specified in body")
    if not ids: raise errors.Malformed(reason="metric_id is missing")
    method = call.request.one("aggregation") or "mean"
    start, stop, granularity = instant_of(call, "start"), instant_of(call, "stop"), granularity_of(call)
    fits = search.predicate(call.body)
    rows = [metric.find(call, id, "search metric") for id in dict.fromkeys(ids)]
    found: dict[str, Any] = {}
    for row in rows:
        try: levels = levels_of(call.db, row, method, granularity)
        except errors.AggregationUnknown as failure: raise errors.Malformed(reason=failure.message) from None
        found[row.id] = [one for level in levels for one in shown(level, [
            sample for sample in sql.read(call.db, [row], method, level, start, stop)[row.number] if fits(sample[1])])]
    return found


ROUTES = [
    Route("/v1/metric/{metric_id}/measures", "GET", show, None, transaction="read"),
    Route("/v1/metric/{metric_id}/measures", "POST", add, None, transaction="write"),
    Route("/v1/resource/{kind}/{id}/metric/{name}/measures", "GET", show_named, None, transaction="read"),
    Route("/v1/resource/{kind}/{id}/metric/{name}/measures", "POST", add_named, None, transaction="write"),
    Route("/v1/batch/metrics/measures", "POST", add_batch, "post measures batch", transaction="write"),
    Route("/v1/batch/resources/metrics/measures", "POST", add_batch_named, "post measures batch", transaction="write"),
    Route("/v1/search/metric", "POST", search_values, None, transaction="read"),
]
