"""Resources: the things that are measured, with the attributes of their type, their metrics and their history.

Source: Gnocchi REST API, "Resources", "Resource history". A change of attributes makes a revision; the former one is kept with its end.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.telemetry import errors, resource_kind, timespan
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resource_kind import Attribute
from pilvi.telemetry.resources import access, metric, resource_list
from pilvi.telemetry.resources.resource_type import attributes_of
from pilvi.telemetry.resources.tables import Metric, MetricResource, MetricRevision

COLUMNS = ("user_id", "project_id", "started_at", "ended_at")
COPIED = ("id", "type", "original_resource_id", "creator", *COLUMNS, "revision_start", "attributes")
LONGEST_ID = 255


def taken(call: Call, attributes: dict[str, Attribute], given: Any, *, creating: bool) -> dict[str, Any]:
    """The checked values of a body: columns, `attributes` and `metrics`. Raises Malformed."""
    if not isinstance(errors.json_of(given), dict): raise errors.invalid("expected a dictionary")
    known = {*COLUMNS, "metrics", *attributes} | ({"id"} if creating else set())
    if unknown := set(given) - known: raise errors.invalid("extra keys not allowed", sorted(unknown)[0])
    found: dict[str, Any] = {"attributes": {}}
    for name in COLUMNS[:2]:
        if name not in given: continue
        if (given[name] is not None and not isinstance(given[name], str)) or len(given[name] or "") > LONGEST_ID:
            raise errors.invalid("expected str for dictionary value", name)
        found[name] = given[name]
    for name in COLUMNS[2:]:
        if name not in given: continue
        try: found[name] = timespan.instant(given[name], clock.now())
        except ValueError: raise errors.invalid("not a valid value for dictionary value", name) from None
    for name, definition in attributes.items():
        if name in given:
            try: found["attributes"][name] = resource_kind.taken(definition, given[name])
            except ValueError as failure: raise errors.invalid(f"{failure} for dictionary value", name) from None
        elif creating and definition["required"]: raise errors.invalid("required key not provided", name)
    if "metrics" in given: found["metrics"] = metric.named(call, given["metrics"], "metrics")
    return found


def check_order(started_at: float, ended_at: float | None) -> None:
    """Raises Malformed."""
    if ended_at is not None and started_at > ended_at: raise errors.Malformed(reason="Start timestamp cannot be after end timestamp")


def find(call: Call, kind: str, given: str, rule: str | None = "get resource") -> MetricResource:
    """The resource, if it is of the type (all are generic) and the rule lets the caller. Raises ResourceUnknown, ResourceTypeUnknown."""
    assert call.db is not None
    attributes_of(call.db, kind)
    try: id = access.resource_id(given, access.creator(call))
    except ValueError: raise errors.ResourceUnknown(id=given[:300]) from None
    row = call.db.get(MetricResource, id)
    if row is None or kind not in ("generic", row.type): raise errors.ResourceUnknown(id=id)
    if rule: access.permit(call, rule, row.creator, row.project_id)
    return row


def body_of(db: Session, kind: str, row: MetricResource) -> dict[str, Any]:
    """As the API shows it among resources of that type."""
    return resource_list.bodies(db, {kind: attributes_of(db, kind)}, [row], kind)[0]


def create_resource(call: Call, kind: str) -> Response:
    """POST /v1/resource/{type}"""
    assert call.db is not None
    attributes = attributes_of(call.db, kind)
    if isinstance(call.body, dict) and "id" not in call.body: raise errors.invalid("required key not provided", "id")
    values = taken(call, attributes, call.body, creating=True)
    original = str(call.body["id"])
    try: id = access.resource_id(original, access.creator(call))
    except ValueError as failure: raise errors.invalid(f"{failure} for dictionary value", "id") from None
    if call.db.get(MetricResource, id) is not None: raise errors.ResourceExists(id=id)
    metrics = values.pop("metrics", {})
    row = make(call.db, kind, id, original, access.creator(call), values)
    metric.attach(call, id, metrics)
    access.tell(call, row)
    return Response(201, body_of(call.db, kind, row), {"Location": call.url(f"/v1/resource/{kind}/{id}")})


def make(db: Session, kind: str, id: str, original: str, made_by: str, values: dict[str, Any]) -> MetricResource:
    """A new row, in the caller's transaction. Raises Malformed."""
    now = clock.now()
    row = MetricResource(id=id, type=kind, original_resource_id=original, creator=made_by, revision_start=now,
                         **{"started_at": now, **values})
    check_order(row.started_at, row.ended_at)
    db.add(row)
    db.flush()
    return row


def revise(db: Session, row: MetricResource, values: dict[str, Any]) -> bool:
    """Changes columns and attributes; the state before becomes a revision. Returns whether anything changed."""
    attributes = row.attributes | values.get("attributes", {})
    columns = {name: values[name] for name in COLUMNS if name in values}
    if attributes == row.attributes and all(getattr(row, name) == value for name, value in columns.items()): return False
    now = clock.now()
    check_order(columns.get("started_at", row.started_at), columns.get("ended_at", row.ended_at))
    db.add(MetricRevision(revision_end=now, **{name: getattr(row, name) for name in COPIED}))
    for name, value in columns.items(): setattr(row, name, value)
    row.attributes, row.revision_start = attributes, now
    db.flush()
    return True


def show_resource(call: Call, kind: str, id: str) -> Response:
    """GET /v1/resource/{type}/{id}"""
    assert call.db is not None
    row = find(call, kind, id)
    access.tell(call, row)
    return Response(304) if access.unchanged(call, row) else Response(200, body_of(call.db, kind, row))


def update_resource(call: Call, kind: str, id: str) -> Any:
    """PATCH /v1/resource/{type}/{id}: metrics that are given take the place of those it had"""
    assert call.db is not None
    row = find(call, kind, id, "update resource")
    access.unchanged(call, row)
    values = taken(call, attributes_of(call.db, kind), call.body, creating=False)
    metrics = values.pop("metrics", None)
    revise(call.db, row, values)
    if metrics is not None:
        for old in call.db.scalars(select(Metric).where(Metric.resource_id == row.id)): old.resource_id = None
        call.db.flush()
        metric.attach(call, row.id, metrics)
    access.tell(call, row)
    return body_of(call.db, kind, row)


def delete_resource(call: Call, kind: str, id: str) -> None:
    """DELETE /v1/resource/{type}/{id}: with its metrics and history"""
    assert call.db is not None
    row = find(call, kind, id, "delete resource")
    access.unchanged(call, row)
    remove(call.db, [row.id])


def remove(db: Session, ids: list[str]) -> None:
    """Forgets resources with their metrics and history, in the caller's transaction."""
    sql.remove(db, [row.number for rows in metric.of_resources(db, ids).values() for row in rows])
    for first in range(0, len(ids), sql.AT_ONCE):
        some = ids[first:first + sql.AT_ONCE]
        db.execute(delete(MetricRevision).where(MetricRevision.id.in_(some)))
        db.execute(delete(MetricResource).where(MetricResource.id.in_(some)))


def delete_resources(call: Call, kind: str) -> Any:
    """DELETE /v1/resource/{type}: those that a query finds, which may not be empty"""
    assert call.db is not None
    tree = resource_list.query_of(call)
    if not tree: raise errors.Malformed(reason="caution: the query can not be empty, or it will delete entire database")
    rows = resource_list.found(call, kind, tree)
    for row in rows: access.permit(call, "delete resource", row.creator, row.project_id)
    remove(call.db, [row.id for row in rows])
    return {"deleted": len(rows)}


def show_history(call: Call, kind: str, id: str) -> Any:
    """GET /v1/resource/{type}/{id}/history"""
    row = find(call, kind, id)
    return resource_list.page(call, kind, {"=": {"id": row.id}}, history=True, everything=True)


def list_metrics(call: Call, kind: str, id: str) -> Any:
    """GET /v1/resource/{type}/{id}/metric"""
    assert call.db is not None
    row = find(call, kind, id)
    return metric.bodies(call.db, metric.of_resources(call.db, [row.id]).get(row.id, []))


def add_metrics(call: Call, kind: str, id: str) -> Any:
    """POST /v1/resource/{type}/{id}/metric: more metrics → all it has"""
    assert call.db is not None
    row = find(call, kind, id, "update resource")
    metric.attach(call, row.id, metric.named(call, call.body))
    return metric.bodies(call.db, metric.of_resources(call.db, [row.id]).get(row.id, []))


def find_named(call: Call, kind: str, id: str, name: str, rule: str = "get metric") -> Metric:
    """A resource's metric by its name. Raises MetricUnknown, ResourceUnknown."""
    assert call.db is not None
    row = find(call, kind, id, None)
    found = call.db.scalar(select(Metric).where(Metric.resource_id == row.id, Metric.name == name))
    if found is None: raise errors.MetricUnknown(id=name)
    access.permit_metric(call, rule, found)
    return found


def show_named(call: Call, kind: str, id: str, name: str) -> Any:
    """GET /v1/resource/{type}/{id}/metric/{name}"""
    assert call.db is not None
    return metric.details(call.db, find_named(call, kind, id, name))


def delete_named(call: Call, kind: str, id: str, name: str) -> None:
    """DELETE /v1/resource/{type}/{id}/metric/{name}"""
    assert call.db is not None
    sql.remove(call.db, [find_named(call, kind, id, name, "delete metric").number])


ROUTES = [
    Route("/v1/resource/{kind}", "POST", create_resource, "create resource", transaction="write"),
    Route("/v1/resource/{kind}", "DELETE", delete_resources, "delete resources", transaction="write"),
    Route("/v1/resource/{kind}/{id}", "GET", show_resource, None, transaction="read"),
    Route("/v1/resource/{kind}/{id}", "PATCH", update_resource, None, transaction="write"),
    Route("/v1/resource/{kind}/{id}", "DELETE", delete_resource, None, transaction="write", status=204),
    Route("/v1/resource/{kind}/{id}/history", "GET", show_history, None, transaction="read"),
    Route("/v1/resource/{kind}/{id}/metric", "GET", list_metrics, None, transaction="read"),
    Route("/v1/resource/{kind}/{id}/metric", "POST", add_metrics, None, transaction="write"),
    Route("/v1/resource/{kind}/{id}/metric/{name}", "GET", show_named, None, transaction="read"),
    Route("/v1/resource/{kind}/{id}/metric/{name}", "DELETE", delete_named, None, transaction="write", status=204),
]
