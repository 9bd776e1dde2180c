"""Lists of resources: of a type, by a query, with history, page by page.

Source: Gnocchi REST API, "Listing resources", "Searching for resources".
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.http import faults
from pilvi.core.http.routes import Route
from pilvi.telemetry import errors, resource_kind, search
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resource_kind import Attribute
from pilvi.telemetry.resources import access, condition, metric
from pilvi.telemetry.resources.resource_type import attributes_of
from pilvi.telemetry.resources.tables import MetricResource, MetricRevision, ResourceType

Kinds = Mapping[str, Mapping[str, Attribute]]
ORDERABLE = (*condition.TEXTS, *condition.INSTANTS)
DEFAULT_SORT = ["revision_start:asc", "started_at:asc"]


def query_of(call: Call) -> search.Tree | None:
    """The query of a request: its body, or ?filter= as text. Raises Malformed."""
    assert call.request is not None
    if call.request.body:
        return search.checked(faults.parse(call.request.body, call.request.headers.get("content-type", "")))
    text = call.request.one("filter")
    return search.parsed(text) if text else None


def conditions(call: Call, table: condition.Table, kind: str, tree: search.Tree | None) -> list[Any]:
    """What rows of that type must fulfil for the query, and to exist for the caller."""
    assert call.db is not None
    attributes = attributes_of(call.db, kind)
    limits = access.seen(call, table)
    if kind != "generic": limits.append(table.type == kind)
    if tree: limits.append(condition.condition(call.db, table, attributes, tree, access.creator(call)))
    return limits


def found(call: Call, kind: str, tree: search.Tree | None) -> list[MetricResource]:
    """All resources of a type that a query finds, oldest revision first."""
    assert call.db is not None
    order = (MetricResource.revision_start, MetricResource.started_at, MetricResource.id)
    return list(call.db.scalars(select(MetricResource).where(*conditions(call, MetricResource, kind, tree)).order_by(*order)))


def bodies(db: Session, kinds: Kinds, rows: Sequence[MetricResource | MetricRevision], kind: str, *,
           details: bool = False) -> list[dict[str, Any]]:
    """The rows as the API shows them among resources of a type; `details`: each with the attributes of its own type."""
    of = metric.of_resources(db, {row.id for row in rows})
    made = []
    for row in rows:
        body = access.columns_of(row) | resource_kind.shown(dict(kinds.get(row.type if details else kind, {})), row.attributes)
        body["metrics"] = {one.name: one.id for one in of.get(row.id, [])}
        made.append(body)
    return made


def page(call: Call, kind: str, tree: search.Tree | None, *, history: bool = False, everything: bool = False) -> Any:
    """One page; `everything`: the caller was found to be allowed to see the resource. Adds the Link header."""
    assert call.db is not None and call.request is not None
    wanted = access.page_of(call, DEFAULT_SORT)
    details = access.flag(call, "details")
    attributes = attributes_of(call.db, kind)
    order = [_ordered(call.db, attributes, sort) for sort in wanted.sorts]
    if history:
        rows, markers = _with_history(call, kind, tree, wanted, everything)
    else:
        ids = list(call.db.scalars(select(MetricResource.id).where(*conditions(call, MetricResource, kind, tree))
                                   .order_by(*order, MetricResource.id)))
        markers = _after(ids, wanted.marker)[:wanted.limit]
        by_id = {row.id: row for first in range(0, len(markers), sql.AT_ONCE) for row in call.db.scalars(
            select(MetricResource).where(MetricResource.id.in_(markers[first:first + sql.AT_ONCE])))}
        rows = [by_id[id] for id in markers]
    if rows and len(rows) >= wanted.limit: access.link_next(call, markers[-1])
    kinds = {row.name: row.attributes for row in call.db.scalars(select(ResourceType))} if details else {kind: attributes}
    shown = bodies(call.db, kinds, rows, kind, details=details)
    keep = {value for key, value in call.request.query if key == "attrs"}
    return [{key: value for key, value in body.items() if key in keep} for body in shown] if keep else shown


def _ordered(db: Session, attributes: Mapping[str, Attribute], sort: access.Sort) -> Any:
    try: return access.ordered(condition.column(db, MetricResource, attributes, sort.name), sort)
    except KeyError: raise errors.Malformed(reason=f"Sort key supplied is invalid: {sort.name}") from None


def _after(markers: list[str], marker: str | None) -> list[str]:
    if not marker: return markers
    if marker not in markers: raise errors.Malformed(reason=f"Invalid marker: `{marker[:100]}'")
    return markers[markers.index(marker) + 1:]


def _with_history(call: Call, kind: str, tree: search.Tree | None, wanted: access.Page,
                  everything: bool) -> tuple[list[MetricResource | MetricRevision], list[str]]:
    assert call.db is not None
    rows: list[Any] = []
    tables: tuple[condition.Table, ...] = (MetricRevision, MetricResource)
    for table in tables:
        if everything: limits = [condition.condition(call.db, table, {}, tree or {}, access.creator(call))]
        else: limits = conditions(call, table, kind, tree)
        rows += call.db.scalars(select(table).where(*limits))
    for sort in reversed(wanted.sorts):
        def value(row: Any, name: str = sort.name) -> Any:
            return getattr(row, name, None) if name in ORDERABLE else row.attributes.get(name)

        there = sorted((row for row in rows if value(row) is not None), key=value, reverse=sort.descending)
        absent = [row for row in rows if value(row) is None]
        rows = there + absent if sort.nulls_last else absent + there
    markers = [f"{row.id}@{row.revision if isinstance(row, MetricRevision) else -1}" for row in rows]
    chosen = _after(markers, wanted.marker)[:wanted.limit]
    first = markers.index(chosen[0]) if chosen else 0
    return rows[first:first + len(chosen)], chosen


def list_resources(call: Call, kind: str) -> Any:
    """GET /v1/resource/{type}"""
    return page(call, kind, None, history=access.flag(call, "history"))


def search_resources(call: Call, kind: str) -> Any:
    """POST /v1/search/resource/{type}"""
    return page(call, kind, query_of(call), history=access.flag(call, "history"))


def list_kinds(call: Call) -> Any:
    """GET /v1/resource: where the resources of each type are"""
    assert call.db is not None
    return {name: call.url(f"/v1/resource/{name}") for name in call.db.scalars(select(ResourceType.name).order_by(ResourceType.name))}


ROUTES = [
    Route("/v1/resource", "GET", list_kinds, "list resource", transaction="read"),
    Route("/v1/resource/{kind}", "GET", list_resources, "list resource", transaction="read"),
    Route("/v1/search/resource/{kind}", "POST", search_resources, "search resource", transaction="read"),
]
