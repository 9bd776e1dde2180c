"""The statistics that a threshold rule looks at, from the metrics' store.

An alarm sees what its project sees, whoever evaluates it. Where several metrics are put together, those that have no value at an instant
do not count for it: servers come and go in a group that is scaled.

Source: Alarming API v2 (Aodh), "gnocchi_*_threshold".
"""
from __future__ import annotations

import math
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pilvi.core.errors import Failure
from pilvi.telemetry import errors
from pilvi.telemetry.alarm import evaluate, rules
from pilvi.telemetry.resources import access, aggregation
from pilvi.telemetry.resources.aggregation import Window
from pilvi.telemetry.resources.tables import Metric, MetricResource


def values(db: Session, rule: dict[str, Any], project_id: str | None, now: float) -> list[float] | str:
    """The values of a rule's window, oldest first; or why there are none. `project_id`: whose things it may look at, None: everybody's."""
    start, stop = evaluate.window(rule, now)
    window = Window(rule["aggregation_method"], float(rule["granularity"]), start, stop, fill="null")
    try: found = SOURCES[rule["type"]](db, rule, window, project_id)
    except Failure as failure: return failure.message
    return [float(value) for _, granularity, value in found if granularity == rule["granularity"] and not math.isnan(value)]


def _of_resource(db: Session, rule: dict[str, Any], window: Window, project_id: str | None) -> list[aggregation.Measure]:
    id = rule["resource_id"]
    limits = [] if project_id is None else access.visible_to(project_id, MetricResource)
    named = or_(MetricResource.id == _uuid(id), MetricResource.original_resource_id == id)
    row = db.scalar(select(MetricResource).where(named, *limits).limit(1))
    if row is None: raise errors.ResourceUnknown(id=id)
    return aggregation.of_resource(db, rule["resource_type"], row.id, rule["metric"], window)


def _uuid(text: str) -> str:
    try: return str(UUID(text))
    except ValueError: return text


def _of_metrics(db: Session, rule: dict[str, Any], window: Window, project_id: str | None) -> list[aggregation.Measure]:
    ids = [_uuid(id) for id in rule["metrics"]]
    if project_id is not None:
        ours = select(MetricResource.id).where(MetricResource.project_id == project_id)
        mine = or_(Metric.creator.endswith(":" + project_id, autoescape=True), Metric.resource_id.in_(ours))
        seen = set(db.scalars(select(Metric.id).where(Metric.id.in_(ids), mine)))
        for id in ids:
            if id not in seen: raise errors.MetricUnknown(id=id)
    return aggregation.of_metrics(db, ids, window)


def _of_resources(db: Session, rule: dict[str, Any], window: Window, project_id: str | None) -> list[aggregation.Measure]:
    return aggregation.of_resources(db, rule["resource_type"], rules.search_of(rule), rule["metric"], window, project_id)


SOURCES = {"gnocchi_resources_threshold": _of_resource, "gnocchi_aggregation_by_metrics_threshold": _of_metrics,
           "gnocchi_aggregation_by_resources_threshold": _of_resources}
