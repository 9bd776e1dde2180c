"""The aggregates API: operations over metrics and over resources, with groups; and the older aggregation API.

Source: Gnocchi REST API, "Dynamic aggregates", "Aggregation across metrics".
"""
from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.errors import NotServed
from pilvi.core.http.routes import Route
from pilvi.telemetry import errors, operations, search, timespan
from pilvi.telemetry.resources import access, aggregation, measure, metric, resource_list
from pilvi.telemetry.resources.aggregation import Measure, Reference, Window
from pilvi.telemetry.resources.resource_type import attributes_of
from pilvi.telemetry.resources.tables import Metric, MetricResource

FILLS = ("null", *aggregation.DROPPED)
COLUMNS = ("id", "type", "original_resource_id", "creator", "user_id", "project_id", "started_at", "ended_at", "revision_start")


def _window(call: Call, *, older: bool) -> Window:
    """What the query says. Raises Malformed."""
    assert call.request is not None
    one = call.request.one
    overlap, fill = one("needed_overlap"), one("fill")
    try: needed = 100.0 if overlap is None else float(overlap)
    except ValueError: raise errors.argument("needed_overlap", "Must be a number") from None
    filler: str | float | None = fill
    if fill is not None and fill not in FILLS:
        try: filler = float(fill)
        except ValueError:
            raise errors.argument("fill", "Must be a float, 'dropna', 'null', 'ffill', 'bfill', 'full_ffill' or 'full_bfill'") from None
    if fill is None and overlap is None and not older: filler = "dropna"
    granularity, resample = measure.granularity_of(call), one("resample") if older else None
    if resample and granularity is None: raise errors.Malformed(reason="A granularity must be specified to resample")
    return Window(one("aggregation") or "mean", granularity, measure.instant_of(call, "start"), measure.instant_of(call, "stop"),
                  one("reaggregation"), filler, needed, operations.resampling(resample, "resample") if resample else None)


def shown(measures: Sequence[Measure]) -> list[list[Any]]:
    """As the API writes them; what is no number is null."""
    return [[timespan.iso(at), granularity, value] for at, granularity, value in measures]


def _result(call: Call, references: list[Reference], operation: list[Any], window: Window, *, details: bool) -> dict[str, Any]:
    assert call.db is not None
    single, several = aggregation.computed(call.db, references, operation, window)
    measures: dict[str, Any] = {}
    if single is not None: measures["aggregated"] = shown(single)
    for reference, found in several:
        if reference.resource_id is None: measures.setdefault(reference.metric.id, {})[reference.method] = shown(found)
        else:
            by_name = measures.setdefault(reference.resource_id, {}).setdefault(reference.metric.name, {})
            by_name[reference.method] = shown(found)
    answer: dict[str, Any] = {"measures": measures}
    if details: answer["references"] = _referred(call, references)
    return answer


def _referred(call: Call, references: list[Reference]) -> list[dict[str, Any]]:
    assert call.db is not None
    ids = list(dict.fromkeys(reference.resource_id for reference in references if reference.resource_id))
    if not ids:
        metrics = {reference.metric.id: reference.metric for reference in references}
        return [metric.details(call.db, row) for row in metrics.values()]
    rows = [row for id in ids if (row := call.db.get(MetricResource, id))]
    return resource_list.bodies(call.db, {row.type: attributes_of(call.db, row.type) for row in rows}, rows, "", details=True)


def compute(call: Call) -> Any:
    """POST /v1/aggregates: {operations} over metrics' ids, or {operations, resource_type, search} over resources' metrics by name"""
    assert call.db is not None
    window, details = _window(call, older=False), access.flag(call, "details")
    body = errors.json_of(call.body)
    if not isinstance(body, dict): raise errors.invalid("expected a dictionary")
    if unknown := set(body) - {"operations", "resource_type", "search"}: raise errors.invalid("extra keys not allowed", sorted(unknown)[0])
    if "operations" not in body: raise errors.invalid("required key not provided", "operations")
    if ("search" in body) != ("resource_type" in body):
        raise errors.invalid("required key not provided", "search" if "resource_type" in body else "resource_type")
    operation = operations.checked(body["operations"])
    wanted = operations.references(operation)
    if not wanted:
        raise errors.Malformed(reason="At least one 'metric' is required", description={
            "cause": "Operations is invalid", "reason": "At least one 'metric' is required", "detail": body["operations"]})
    if "resource_type" not in body: return _over_metrics(call, operation, wanted, window, details)
    return _over_resources(call, operation, wanted, window, details)


def _over_metrics(call: Call, operation: list[Any], wanted: list[tuple[str, str]], window: Window, details: bool) -> Any:
    assert call.db is not None
    try: ids = [str(UUID(id)) for id, _ in wanted]
    except ValueError as failure:
        raise errors.Malformed(reason=str(failure), description={"cause": "Invalid metric references", "reason": str(failure),
                                                                 "detail": wanted}) from None
    rows = {row.id: row for row in call.db.scalars(select(Metric).where(Metric.id.in_(ids)))}
    if missing := sorted(set(ids) - set(rows)):
        raise errors.MetricUnknown(id=missing[0], description={
            "cause": "Unknown metrics", "reason": "Provided metrics don't exists", "detail": missing})
    for row in rows.values(): access.permit_metric(call, "get metric", row)
    references = [Reference(rows[id], method, None, name) for id, (name, method) in zip(ids, wanted, strict=True)]
    return _result(call, references, operation, window, details=details)


def _tree(call: Call, given: Any) -> search.Tree:
    return search.parsed(given) if isinstance(given, str) else search.checked(given)


def _over_resources(call: Call, operation: list[Any], wanted: list[tuple[str, str]], window: Window, details: bool) -> Any:
    assert call.db is not None and call.request is not None
    kind, tree = str(call.body["resource_type"]), _tree(call, call.body["search"])
    try: attributes = attributes_of(call.db, kind)
    except errors.ResourceTypeUnknown: raise errors.ResourceTypeNotThere(name=kind) from None
    if access.flag(call, "use_history"): raise NotServed(what="aggregates over the history of resources")
    rows = resource_list.found(call, kind, tree)
    groups = _groups(call, attributes)
    if not groups:
        return _result(call, aggregation.of_resource_rows(call.db, rows, wanted), operation, window, details=details)
    answers = []
    for key, some in grouped(rows, groups):
        try: references = aggregation.of_resource_rows(call.db, some, wanted)
        except errors.MetricUnknown: continue
        answers.append({"group": key, "measures": _result(call, references, operation, window, details=details)})
    if not answers: raise errors.MetricUnknown(id=sorted({name for name, _ in wanted}))
    return answers


def _groups(call: Call, attributes: Any) -> list[str]:
    assert call.request is not None
    names = sorted({value for key, value in call.request.query if key == "groupby"})
    for name in names:
        if name not in COLUMNS and name not in attributes: raise errors.Malformed(reason="Invalid groupby attribute")
    return names


def grouped(rows: Sequence[Any], names: list[str]) -> list[tuple[dict[str, Any], list[Any]]]:
    """The rows by what these attributes hold."""
    def key(row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, name) if name in COLUMNS else row.attributes.get(name) for name in names)

    ordered = sorted(rows, key=lambda row: [(value is not None, str(value)) for value in key(row)])
    return [(dict(zip(names, values, strict=True)), list(some)) for values, some in groupby(ordered, key)]


# -- the older form


def across_metrics(call: Call) -> Any:
    """GET and POST /v1/aggregation/metric: ids in ?metric=, or as a list in the body"""
    assert call.db is not None and call.request is not None
    given = call.body if call.request.method == "POST" else [value for key, value in call.request.query if key == "metric"]
    if not isinstance(given, list): raise errors.invalid("expected a list")
    try: ids = [str(UUID(str(id))) for id in given]
    except ValueError: raise errors.Malformed(reason="Invalid input: expected UUID") from None
    rows = {row.id: row for row in call.db.scalars(select(Metric).where(Metric.id.in_(ids)))}
    for id in ids:
        if id not in rows: raise errors.MetricUnknown(id=id)
        access.permit_metric(call, "get metric", rows[id])
    return shown(aggregation.together(call.db, list(rows.values()), _window(call, older=True)))


def across_resources(call: Call, kind: str, name: str) -> Any:
    """POST /v1/aggregation/resource/{type}/metric/{name}: of the resources that a query finds, perhaps by groups"""
    assert call.db is not None
    attributes = attributes_of(call.db, kind)
    rows, window = resource_list.found(call, kind, resource_list.query_of(call)), _window(call, older=True)
    groups = _groups(call, attributes)

    def measures(some: Sequence[MetricResource]) -> Any:
        assert call.db is not None
        of = metric.of_resources(call.db, [row.id for row in some])
        return shown(aggregation.together(call.db, [one for rows in of.values() for one in rows if one.name == name], window))

    if not groups: return measures(rows)
    return [{"group": key, "measures": measures(some)} for key, some in grouped(rows, groups)]


ROUTES = [
    Route("/v1/aggregates", "POST", compute, "search resource", transaction="read"),
    Route("/v1/aggregation/metric", "GET", across_metrics, "search resource", transaction="read"),
    Route("/v1/aggregation/metric", "POST", across_metrics, "search resource", transaction="read"),
    Route("/v1/aggregation/resource/{kind}/metric/{name}", "POST", across_resources, "search resource", transaction="read"),
]
