"""Measures of several metrics put together: by their ids, by resource and name, over all resources that a query finds.

Source: Gnocchi REST API, "Dynamic aggregates", "Aggregation across metrics" (the older form).

Within the process (alarms) call `of_metrics`, `of_resource` or `of_resources` in a read transaction; they give
[(begin of the bucket, granularity, value)], the coarsest granularity first, and raise what the API would answer.
"""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.telemetry import errors, operations, search
from pilvi.telemetry.archive import Policy
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.operations import Grid
from pilvi.telemetry.resources import access, condition, metric
from pilvi.telemetry.resources.resource_type import attributes_of
from pilvi.telemetry.resources.tables import Metric, MetricResource

DROPPED = ("dropna", "ffill", "bfill", "full_ffill", "full_bfill")
"""Fills after which a value that is still missing is left out."""
Measure = tuple[float, float | str, float]


class Window(Struct, frozen=True):
    """What to read and how. `granularity` None: all that the metrics have in common. `fill`: a number, null, dropna, ffill, …; None: only
    instants that all of them have, of which there must be `needed_overlap` percent. `reaggregation` None: as `aggregation`."""
    aggregation: str = "mean"
    granularity: float | None = None
    start: float | None = None
    stop: float | None = None
    reaggregation: str | None = None
    fill: str | float | None = None
    needed_overlap: float = 100.0
    resample: float | str | None = None


class Reference(Struct):
    """A metric with an aggregation method, as an operation calls it. `wildcard`: the name pattern by which it was found."""
    metric: Metric
    method: str
    resource_id: str | None = None
    wildcard: str | None = None

    @property
    def name(self) -> list[str]:
        return [self.wildcard or self.metric.id, self.method]


def of_metrics(db: Session, ids: Sequence[str], window: Window) -> list[Measure]:
    """The measures of one metric, or of several put together. Raises MetricUnknown, AggregationUnknown, Malformed."""
    rows = {row.id: row for row in db.scalars(select(Metric).where(Metric.id.in_(list(ids))))}
    for id in ids:
        if id not in rows: raise errors.MetricUnknown(id=id)
    return together(db, list(rows.values()), window)


def of_resource(db: Session, kind: str, resource_id: str, name: str, window: Window) -> list[Measure]:
    """The measures of a resource's metric. Raises ResourceUnknown, MetricUnknown, AggregationUnknown."""
    there = db.get(MetricResource, resource_id)
    if there is None or kind not in ("generic", there.type): raise errors.ResourceUnknown(id=resource_id)
    row = db.scalar(select(Metric).where(Metric.resource_id == resource_id, Metric.name == name))
    if row is None: raise errors.MetricUnknown(id=name)
    return together(db, [row], window)


def of_resources(db: Session, kind: str, query: str | Mapping[str, Any], name: str, window: Window,
                 project_id: str | None = None) -> list[Measure]:
    """The metrics of this name of all resources that a query (a tree or text) finds, put together; `project_id`: of what that project sees
    only. Raises ResourceTypeUnknown, AggregationUnknown, Malformed; no metric is no failure."""
    tree = search.parsed(query) if isinstance(query, str) else search.checked(dict(query))
    limits = [condition.condition(db, MetricResource, attributes_of(db, kind), tree, "")]
    if kind != "generic": limits.append(MetricResource.type == kind)
    if project_id is not None: limits += access.visible_to(project_id, MetricResource)
    ids = select(MetricResource.id).where(*limits)
    return together(db, list(db.scalars(select(Metric).where(Metric.name == name, Metric.resource_id.in_(ids)))), window)


def together(db: Session, rows: Sequence[Metric], window: Window) -> list[Measure]:
    """Several metrics as one series: `aggregation` of each, `reaggregation` over them. Raises AggregationUnknown, Malformed."""
    if not rows: return []
    known = sql.policies(db)
    levels = [window.granularity] if window.granularity is not None else in_common([known[row.archive_policy_name] for row in rows])
    if not levels:
        raise errors.not_aggregable([[row.id, window.aggregation] for row in rows], "No granularity match")
    for row in rows:
        for level in levels: _check(row, known[row.archive_policy_name], window.aggregation, level, alone=len(rows) == 1)
    found: list[Measure] = []
    for level in levels:
        series = sql.read(db, rows, window.aggregation, level, window.start, window.stop, known)
        grid = operations.side_by_side(level, [series[row.number] for row in rows], [[row.id, window.aggregation] for row in rows],
                                       window.fill)
        if len(rows) > 1 and window.fill is None:
            grid = operations.overlapping(grid, window.needed_overlap, bounded=(window.start is not None, window.stop is not None))
        if window.resample is not None: grid = operations.resampled(window.aggregation.removeprefix("rate:"), window.resample, grid)
        if len(rows) > 1: grid = _combined(window.reaggregation or window.aggregation, grid)
        found += [(at, grid.granularity, value) for at, value in zip(grid.times, grid.columns[0], strict=True)
                  if not (window.fill in DROPPED and math.isnan(value))]
    return found


def _combined(method: str, grid: Grid) -> Grid:
    if method.removeprefix("rate:") not in operations.TOGETHER:
        raise errors.Malformed(reason=f"'{method}' cannot be used for reaggregation")
    made = operations.evaluate(["aggregate", method.removeprefix("rate:"), ["metric", *grid.names]], grid)
    assert isinstance(made, Grid)
    return made


def _check(row: Metric, policy: Policy, method: str, granularity: float, *, alone: bool) -> None:
    if method not in policy.methods and alone:
        raise errors.AggregationUnknown(method=method, granularity=granularity, id=row.id, description={
            "cause": "Aggregation method does not exist for this metric", "detail": {"metric": row.id, "aggregation_method": method}})
    if method not in policy.methods or policy.level(granularity) is None:
        raise errors.AggregationUnknown(method=method, granularity=granularity, id=row.id)


def in_common(policies: Sequence[Policy]) -> list[float]:
    """The granularities that all have, from the coarsest on."""
    counted = Counter(level.granularity for policy in policies for level in policy.levels)
    return sorted((granularity for granularity, n in counted.items() if n == len(policies)), reverse=True)


def computed(db: Session, references: Sequence[Reference], operation: list[Any], window: Window) -> tuple[list[Measure] | None,
                                                                                                   list[tuple[Reference, list[Measure]]]]:
    """An operation over metrics: one series (then the second is empty), or one for each reference. Raises AggregationUnknown, Malformed."""
    known = sql.policies(db)
    policies = [known[reference.metric.archive_policy_name] for reference in references]
    for reference, policy in zip(references, policies, strict=True):
        if reference.method not in policy.methods:
            raise errors.AggregationUnknown(method=reference.method, granularity="any", id=reference.metric.id, description={
                "cause": "Metrics with unknown aggregation", "detail": [[reference.metric.id, reference.method]]})
    levels = [window.granularity] if window.granularity is not None else in_common(policies)
    if not levels: raise errors.not_aggregable([reference.name for reference in references], "No granularity match")
    missing = [[*reference.name, level] for reference, policy in zip(references, policies, strict=True) for level in levels
               if policy.level(level) is None]
    if missing: raise errors.not_aggregable(missing, "Granularities are missing")
    grids = [_evaluated(db, references, operation, window, level, known) for level in levels]
    if any(grid.single for grid in grids): return [one for grid in grids for one in _measures(grid, 0, window.fill)], []
    return None, [(reference, [one for grid in grids for one in _measures(grid, place, window.fill)])
                  for place, reference in enumerate(references) if place < len(grids[0].columns)]


def _measures(grid: Grid, place: int, fill: Any) -> list[Measure]:
    return [(at, grid.granularity, value) for at, value in zip(grid.times, grid.columns[place], strict=True)
            if fill not in DROPPED or math.isfinite(value)]


def _evaluated(db: Session, references: Sequence[Reference], operation: list[Any], window: Window, level: float,
               known: Mapping[str, Policy]) -> Grid:
    series: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for method in dict.fromkeys(reference.method for reference in references):
        rows = list({reference.metric.number: reference.metric for reference in references if reference.method == method}.values())
        found = sql.read(db, rows, method, level, window.start, window.stop, known)
        series |= {(method, number): samples for number, samples in found.items()}
    columns = [series[reference.method, reference.metric.number] for reference in references]
    grid = operations.side_by_side(level, columns, [reference.name for reference in references], window.fill)
    if window.fill is None:
        grid = operations.overlapping(grid, window.needed_overlap, bounded=(window.start is not None, window.stop is not None))
    made = operations.evaluate(operation, grid)
    if not isinstance(made, Grid): raise errors.Malformed(reason="At least one 'metric' is required")
    return made


def of_resource_rows(db: Session, resources: Sequence[MetricResource], wanted: Sequence[tuple[str, str]]) -> list[Reference]:
    """The metrics of resources that (name pattern, method) pairs mean. Raises MetricUnknown if there is none."""
    of = metric.of_resources(db, [row.id for row in resources])
    found = [Reference(one, method, row.id, pattern) for row in resources for pattern, method in wanted
             for one in of.get(row.id, []) if fnmatchcase(one.name or "", pattern)]
    if not found: raise errors.MetricUnknown(id=sorted({pattern for pattern, _ in wanted}))
    return found
