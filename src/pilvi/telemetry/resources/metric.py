"""Metrics: series of numbers, each alone or one of a resource.

Source: Gnocchi REST API, "Metrics".
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.telemetry import errors
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resources import access, archive_policy
from pilvi.telemetry.resources.tables import ArchivePolicy, Metric, MetricResource

SORTS = {"id": Metric.id, "name": Metric.name, "unit": Metric.unit, "creator": Metric.creator, "resource_id": Metric.resource_id,
         "archive_policy_name": Metric.archive_policy_name}
LONGEST_UNIT = 31
MOST_METRICS = 1000
"""In one body."""


class Wanted(Struct):
    """A metric that a body asks for."""
    name: str | None
    policy: str
    unit: str | None = None
    resource_id: str | None = None


def body_of(row: Metric) -> dict[str, Any]:
    """As lists show it."""
    return {"id": row.id, "name": row.name, "unit": row.unit, "creator": row.creator, "resource_id": row.resource_id,
            **access.makers(row.creator)}


def bodies(db: Session, rows: Sequence[Metric]) -> list[dict[str, Any]]:
    """Several, each with its whole policy."""
    known = {row.name: archive_policy.body_of(row) for row in db.scalars(select(ArchivePolicy))}
    return [body_of(row) | {"archive_policy": known[row.archive_policy_name]} for row in rows]


def wanted(call: Call, given: Any, *path: Any, name: str | None = None, of_resource: bool = False) -> Wanted:
    """A definition of a metric, checked; its policy chosen by the rules if it names none. Raises Malformed."""
    assert call.db is not None
    if not isinstance(given, dict): raise errors.invalid("expected a dictionary", *path)
    allowed = {"archive_policy_name", "unit"} | (set() if of_resource else {"name", "resource_id"})
    if unknown := set(given) - allowed - ({"name"} if of_resource else set()):
        raise errors.invalid("extra keys not allowed", *path, sorted(unknown)[0])
    for key, longest in (("archive_policy_name", 255), ("name", 255), ("unit", LONGEST_UNIT), ("resource_id", 300)):
        if key not in given: continue
        if not isinstance(given[key], str): raise errors.invalid("expected str for dictionary value", *path, key)
        if len(given[key]) > longest:
            raise errors.invalid(f"length of value must be at most {longest} for dictionary value", *path, key)
    name = name if name is not None else given.get("name")
    if name and "/" in name: raise errors.Malformed(reason="'/' is not supported in metric name")
    policy = given.get("archive_policy_name") or archive_policy.policy_for(call.db, name)
    if policy is None:
        raise errors.Malformed(reason="No archive policy name specified and no archive policy rule found matching the metric name "
                                      f"{name}")
    if call.db.get(ArchivePolicy, policy) is None: raise errors.ArchivePolicyNotThere(name=policy)
    return Wanted(name, policy, given.get("unit"), given.get("resource_id"))


def named(call: Call, given: Any, *path: Any) -> dict[str, Wanted | str]:
    """The metrics of a resource's body: {name: definition, or the id of one that exists}. Raises Malformed."""
    if not isinstance(given, dict): raise errors.invalid("expected a dictionary", *path)
    if len(given) > MOST_METRICS: raise errors.invalid(f"at most {MOST_METRICS} metrics", *path)
    found: dict[str, Wanted | str] = {}
    for name, definition in given.items():
        if not isinstance(definition, str): found[name] = wanted(call, definition, *path, name, name=name, of_resource=True)
        else:
            if "/" in name: raise errors.Malformed(reason="'/' is not supported in metric name")
            try: found[name] = str(UUID(definition))
            except ValueError: raise errors.invalid("expected UUID", *path, name) from None
    return found


def attach(call: Call, resource_id: str, metrics: Mapping[str, Wanted | str]) -> list[Metric]:
    """Gives a resource its metrics, new ones and the caller's existing ones. Raises MetricNotThere, MetricExists."""
    assert call.db is not None
    taken = set(call.db.scalars(select(Metric.name).where(Metric.resource_id == resource_id)))
    if both := taken & set(metrics): raise errors.MetricExists(name=sorted(map(str, both))[0])
    made = []
    for name, definition in metrics.items():
        if isinstance(definition, Wanted):
            made.append(make(call.db, access.creator(call), definition.policy, name, definition.unit, resource_id))
            continue
        row = call.db.scalar(select(Metric).where(Metric.id == definition))
        if row is None or (row.creator != access.creator(call) and not call.is_admin): raise errors.MetricNotThere(id=definition)
        row.resource_id, row.name = resource_id, name
        made.append(row)
    call.db.flush()
    return made


def make(db: Session, made_by: str, policy: str, name: str | None, unit: str | None, resource_id: str | None) -> Metric:
    """A new row, in the caller's transaction."""
    row = Metric(id=new_id(), creator=made_by, archive_policy_name=policy, name=name, unit=unit, resource_id=resource_id)
    db.add(row)
    return row


def find(call: Call, metric_id: str, rule: str = "get metric") -> Metric:
    """The metric, if the rule lets the caller. Raises MetricUnknown, Refused."""
    assert call.db is not None
    try: id = str(UUID(metric_id))
    except ValueError: raise errors.MetricUnknown(id=metric_id[:300]) from None
    row = call.db.scalar(select(Metric).where(Metric.id == id))
    if row is None: raise errors.MetricUnknown(id=id)
    access.permit_metric(call, rule, row)
    return row


def of_resources(db: Session, ids: Iterable[str]) -> dict[str, list[Metric]]:
    """{resource's id: its metrics}"""
    wanted_ids, found = list(ids), dict[str, list[Metric]]()
    for first in range(0, len(wanted_ids), sql.AT_ONCE):
        some = wanted_ids[first:first + sql.AT_ONCE]
        for row in db.scalars(select(Metric).where(Metric.resource_id.in_(some)).order_by(Metric.name)):
            found.setdefault(str(row.resource_id), []).append(row)
    return found


def list_metrics(call: Call) -> Any:
    """GET /v1/metric"""
    assert call.db is not None and call.request is not None
    page = access.page_of(call, ["id:asc"])
    conditions = access.seen_metrics(call)
    query = dict(call.request.query)
    for name in ("name", "id", "unit", "archive_policy_name", "creator", "resource_id"):
        if name in query: conditions.append(SORTS[name] == query[name])
    if "user_id" in query or "project_id" in query:
        conditions.append(Metric.creator == f"{query.get('user_id', '')}:{query.get('project_id', '')}")
    if query.get("status", "active") not in ("active", "delete"): raise errors.Malformed(reason="Invalid input: not a valid status")
    if query.get("status") == "delete": return []
    order = []
    for sort in page.sorts:
        if sort.name not in SORTS: raise errors.Malformed(reason=f"Sort key supplied is invalid: {sort.name}")
        order.append(access.ordered(SORTS[sort.name], sort))
    ids = list(call.db.scalars(select(Metric.id).where(*conditions).order_by(*order, Metric.id)))
    if page.marker:
        if page.marker not in ids: raise errors.Malformed(reason=f"Invalid marker: `{page.marker[:100]}'")
        ids = ids[ids.index(page.marker) + 1:]
    chosen = ids[:page.limit]
    rows = {row.id: row for first in range(0, len(chosen), sql.AT_ONCE)
            for row in call.db.scalars(select(Metric).where(Metric.id.in_(chosen[first:first + sql.AT_ONCE])))}
    if chosen and len(chosen) >= page.limit: access.link_next(call, chosen[-1])
    return bodies(call.db, [rows[id] for id in chosen])


def create_metric(call: Call) -> Response:
    """POST /v1/metric"""
    assert call.db is not None
    definition = wanted(call, errors.json_of(call.body))
    resource_id = None
    if definition.resource_id is not None:
        if definition.name is None:
            raise errors.Malformed(reason="Name cannot be null", description={
                "cause": "Attribute value error", "detail": "name", "reason": "Name cannot be null if resource_id is not null"})
        resource_id = _resource(call, definition.resource_id)
    if resource_id and call.db.scalar(select(Metric.id).where(Metric.resource_id == resource_id, Metric.name == definition.name)):
        raise errors.Malformed(reason=f"Named metric {definition.name} already exists", description={
            "cause": "Named metric already exists", "detail": definition.name})
    row = make(call.db, access.creator(call), definition.policy, definition.name, definition.unit, resource_id)
    call.db.flush()
    return Response(201, body_of(row) | {"archive_policy_name": row.archive_policy_name}, {"Location": call.url(f"/v1/metric/{row.id}")})


def _resource(call: Call, given: str) -> str:
    """The id of an existing resource that the caller may change."""
    assert call.db is not None
    try: id = access.resource_id(given, access.creator(call))
    except ValueError as failure: raise errors.invalid(str(failure), "resource_id") from None
    row = call.db.get(MetricResource, id)
    if row is None: raise errors.Malformed(reason=f"Resource {given} does not exist")
    access.permit(call, "update resource", row.creator, row.project_id)
    return id


def show_metric(call: Call, metric_id: str) -> Any:
    """GET /v1/metric/{id}: with its policy and its resource"""
    assert call.db is not None
    row = find(call, metric_id)
    return details(call.db, row)


def details(db: Session, row: Metric) -> dict[str, Any]:
    """A metric with its whole policy and resource."""
    body = body_of(row)
    del body["resource_id"]
    policy = db.get(ArchivePolicy, row.archive_policy_name)
    resource = db.get(MetricResource, row.resource_id) if row.resource_id else None
    assert policy is not None
    return body | {"archive_policy": archive_policy.body_of(policy), "resource": resource and access.columns_of(resource)}


def delete_metric(call: Call, metric_id: str) -> None:
    """DELETE /v1/metric/{id}: with its measures"""
    assert call.db is not None
    sql.remove(call.db, [find(call, metric_id, "delete metric").number])


ROUTES = [
    Route("/v1/metric", "GET", list_metrics, "list metric", transaction="read"),
    Route("/v1/metric", "POST", create_metric, "create metric", transaction="write"),
    Route("/v1/metric/{metric_id}", "GET", show_metric, None, transaction="read"),
    Route("/v1/metric/{metric_id}", "DELETE", delete_metric, None, transaction="write", status=204),
]
