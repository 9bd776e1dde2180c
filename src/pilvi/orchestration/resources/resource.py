"""The resources of a stack: list with nested depth, show, metadata, signal, mark unhealthy.

Source: Orchestration API, "Stack resources".
"""
from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.errors import Failure, NotFound
from pilvi.core.http import faults
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.stack_view import moment
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack import health, live, signals
from pilvi.orchestration.stack.states import status

DEPTH_MOST = 10
FILTERS = ("type", "status", "name", "action", "id", "physical_resource_id")
RULES = {f"resource:{verb}": Rule(PERSONAS["reader"]) for verb in ("index", "show", "metadata")}
RULES |= {f"resource:{verb}": Rule(PERSONAS["member"]) for verb in ("signal", "mark_unhealthy")}


def told(call: Call, stack: Stack, row: StackResource, required_by: list[str], *, parent: str | None = None) -> dict[str, Any]:
    """A resource as lists have it."""
    here = lookup.base(call, stack)
    links = [{"href": f"{here}/resources/{quote(row.name, safe='')}", "rel": "self"}, {"href": here, "rel": "stack"}]
    if row.physical_id and row.physical_id == row.id:
        nested = f"/v1/{stack.project_id}/stacks/{quote(nested_name(stack, row))}/{row.physical_id}"
        links.append({"href": call.url(nested), "rel": "nested"})
    body = {
        "resource_name": row.name, "logical_resource_id": row.name, "physical_resource_id": row.physical_id or "",
        "resource_type": row.type, "resource_status": status(row.state, row.busy), "resource_status_reason": row.reason,
        "creation_time": moment(row.created_at), "updated_time": moment(row.changed_at or row.created_at), "required_by": required_by,
        "links": links}
    return body | ({"parent_resource": parent} if parent else {})


def nested_name(stack: Stack, row: StackResource) -> str:
    """The name of the stack nested in a resource: see stack/door.py."""
    return f"{stack.name}-{row.name}-{row.id.replace('-', '')[:12]}"


def index(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/resources"""
    assert call.application is not None and call.request is not None
    depth = _depth(call)
    detail = (call.request.one("with_detail") or "false").lower() in ("true", "1", "yes")
    filters = {key: [v for k, v in call.request.query if k == key] for key in FILTERS}
    found: list[dict[str, Any]] = []
    with call.application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id)
        _collect(db, call, stack, None, depth, detail, filters, found)
    return {"resources": found}


def _depth(call: Call) -> int:
    assert call.request is not None
    given = call.request.one("nested_depth")
    if given is None: return 0
    if given.upper() == "MAX" or given.lower() == "true": return DEPTH_MOST
    if given.lower() == "false": return 0
    if not given.isdigit(): raise errors.RequestInvalid(reason=f"Only integer is allowed for nested_depth: {given[:40]!r}")
    return min(int(given), DEPTH_MOST)


def _collect(db: Session, call: Call, stack: Stack, parent: str | None, depth: int, detail: bool, filters: dict[str, list[str]],
             found: list[dict[str, Any]]) -> None:
    assert call.application is not None
    plan = call.application.state["plans"].of(stack)
    after = plan.required_by()
    for name, row in sorted(live.current_rows(db, stack.id).items()):
        if _fits(row, filters):
            body = told(call, stack, row, sorted(after.get(name, ())), parent=parent)
            if detail: body["description"] = plan.resources[name].definition.description if name in plan.resources else ""
            found.append(body)
        if depth > 0:
            child = db.scalar(select(Stack).where(Stack.owner_resource_id == row.id, Stack.deleted_at.is_(None)))
            if child is not None: _collect(db, call, child, name, depth - 1, detail, filters, found)


def _fits(row: StackResource, filters: dict[str, list[str]]) -> bool:
    word = status(row.state, row.busy)
    action, _, rest = word.partition("_")
    return all((not filters["type"] or row.type in filters["type"], not filters["name"] or row.name in filters["name"],
                not filters["action"] or action in filters["action"], not filters["id"] or row.id in filters["id"],
                not filters["status"] or rest in filters["status"] or word in filters["status"],
                not filters["physical_resource_id"] or row.physical_id in filters["physical_resource_id"]))


def find(db: Session, stack: Stack, name: str) -> StackResource:
    """The resource of that name (or with that physical id). Raises ResourceUnknown, ResourceNotAvailable."""
    row = live.current_rows(db, stack.id, [name]).get(name)
    if row is None: row = db.scalar(select(StackResource).where(StackResource.stack_id == stack.id, StackResource.physical_id == name))
    if row is None and name in (stack.template.get("resources") or {}): raise errors.ResourceNotAvailable(name=name)
    if row is None: raise errors.ResourceUnknown(name=name, stack=stack.name)
    return row


def show(call: Call, stack_name: str, stack_id: str, resource: str) -> dict[str, Any]:
    """GET …/resources/{name}"""
    assert call.application is not None and call.request is not None
    application = call.application
    with application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id)
        row = find(db, stack, resource)
    plan = application.state["plans"].of(stack)
    body = told(call, stack, row, sorted(plan.required_by().get(row.name, ())))
    planned = plan.resources.get(row.name)
    body["description"] = planned.definition.description if planned else ""
    extra = [value for key, value in call.request.query if key == "with_attr"]
    return {"resource": body | {"attributes": _attributes(call, stack, plan, row, extra)}}


def _attributes(call: Call, stack: Stack, plan: Any, row: StackResource, extra: list[str]) -> dict[str, Any]:
    assert call.application is not None
    if row.state.startswith("INIT"): return {}
    kind = live.kind_of(plan, row)
    scope = live.LiveScope(call.application, call, stack, plan, {row.name: row})
    found = {}
    for name in [*(one for one in kind.attributes if one != "show"), *extra]:
        try: found[name] = scope.attribute(row.name, name, [])
        except Failure: found[name] = None
    return found


def metadata(call: Call, stack_name: str, stack_id: str, resource: str) -> dict[str, Any]:
    """GET …/resources/{name}/metadata"""
    assert call.application is not None
    with call.application.database.read() as db:
        row = find(db, lookup.find(db, call, stack_name, stack_id), resource)
        return {"metadata": row.meta or {}}


def signal(call: Call, stack_name: str, stack_id: str, resource: str) -> Response:
    """POST …/resources/{name}/signal"""
    assert call.application is not None
    with call.application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id)
        row = find(db, stack, resource)
    health.signal(call.application, call, stack, row, call.body)
    return Response(200, None)


def signed_signal(call: Call, kind: str, signature: str, project_id: str, stack_name: str, stack_id: str, resource: str) -> Response:
    """POST or PUT of a signal URL: who has it may use it, since it is signed. Acts as the stack's owner."""
    assert call.application is not None and call.request is not None
    if kind not in signals.KINDS or not signals.fits(call.application.grant_key, project_id, stack_id, resource, kind, signature):
        raise errors.AccessRefused()
    with call.application.database.read() as db:
        stack = db.get(Stack, stack_id)
        if stack is None or stack.deleted_at is not None or stack.project_id != project_id: raise NotFound()
        row = find(db, stack, resource)
    # curl calls a body a form and alarms may send none: whatever it is called, it is JSON
    health.signal(call.application, None, stack, row, faults.parse(call.request.body, ""))
    return Response(200, None)


def mark_unhealthy(call: Call, stack_name: str, stack_id: str, resource: str) -> Response:
    """PATCH …/resources/{name}: {mark_unhealthy, resource_status_reason}"""
    assert call.application is not None
    body = call.body
    if not isinstance(body, dict) or not isinstance(body.get("mark_unhealthy"), bool):
        raise errors.RequestInvalid(reason='Missing mandatory (mark_unhealthy) key from mark unhealthy request')
    reason = body.get("resource_status_reason") or ""
    if not isinstance(reason, str): raise errors.RequestInvalid(reason="resource_status_reason must be text")
    with call.application.database.write() as db:
        row = find(db, lookup.find(db, call, stack_name, stack_id), resource)
        health.mark(db, row, body["mark_unhealthy"], reason[:1000])
    return Response(200, None)


ITEM = "/v1/stacks/{stack_name}/{stack_id}/resources"
SIGNED = "/v1/signed/{kind}/{signature}/{project_id}/{stack_name}/{stack_id}/{resource}"
ROUTES = [
    Route(ITEM, "GET", index, "resource:index"), Route(ITEM + "/{resource}", "GET", show, "resource:show"),
    Route(ITEM + "/{resource}/metadata", "GET", metadata, "resource:metadata"),
    Route(ITEM + "/{resource}/signal", "POST", signal, "resource:signal"),
    Route(ITEM + "/{resource}", "PATCH", mark_unhealthy, "resource:mark_unhealthy"),
    Route(SIGNED, "POST", signed_signal, ANYONE, raw=True),
    Route(SIGNED, "PUT", signed_signal, ANYONE, raw=True)]
