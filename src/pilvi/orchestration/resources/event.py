"""Events of stacks and resources.

Source: Orchestration API, "Stack events".
"""
from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.resource import _depth
from pilvi.orchestration.resources.tables import Stack, StackEvent, StackResource

RULES = {"events:index": Rule(PERSONAS["reader"]), "events:show": Rule(PERSONAS["reader"])}
SCAN_MOST = 10_000


def told(call: Call, stack: Stack, event: StackEvent, root: Stack) -> dict[str, Any]:
    """An event as lists have it."""
    here = lookup.base(call, stack)
    place = f"{here}/resources/{quote(event.name, safe='')}"
    links = [{"href": f"{place}/events/{event.id}", "rel": "self"}, {"href": place, "rel": "resource"}, {"href": here, "rel": "stack"}]
    if root.id != stack.id: links.append({"href": lookup.base(call, root), "rel": "root_stack"})
    return {"id": event.id, "event_time": clock.iso(event.at), "resource_name": event.name, "logical_resource_id": event.name,
            "physical_resource_id": event.physical_id, "resource_status": event.status, "resource_status_reason": event.reason,
            "links": links}


def index(call: Call, stack_name: str, stack_id: str, resource: str | None = None) -> dict[str, Any]:
    """GET …/events and …/resources/{name}/events"""
    assert call.application is not None and call.request is not None
    query = {key: [v for k, v in call.request.query if k == key] for key in ("resource_status", "resource_action", "resource_name",
                                                                             "resource_type", "status", "action", "name", "type")}
    with call.application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id, deleted=True)
        stacks = {one.id: one for one in _tree(db, stack, _depth(call))}
        statement = select(StackEvent).where(StackEvent.stack_id.in_(stacks))
        if resource is not None: statement = statement.where(StackEvent.name == resource)
        descending = call.request.one("sort_dir") == "desc"
        events = list(db.scalars(statement.order_by(StackEvent.number.desc() if descending else StackEvent.number).limit(SCAN_MOST)))
    if resource is not None and not events: raise errors.ResourceUnknown(name=resource, stack=stack.name)
    found = [event for event in events if _fits(event, query)]
    marker, limit = call.request.one("marker"), call.request.one("limit")
    if marker is not None:
        at = next((number for number, event in enumerate(found) if event.id == marker), None)
        found = found[at + 1:] if at is not None else []
    if limit is not None:
        if not limit.isdigit(): raise errors.RequestInvalid(reason=f"Only integer is allowed for limit: {limit[:40]!r}")
        found = found[:int(limit) or None]
    return {"events": [told(call, stacks[event.stack_id], event, stack) for event in found]}


def _tree(db: Session, stack: Stack, depth: int) -> list[Stack]:
    """The stack and those nested in it, so deep."""
    found = [stack]
    level = [stack.id]
    for _ in range(depth):
        children = list(db.scalars(select(Stack).where(Stack.owner_id.in_(level))))
        if not children: break
        found += children
        level = [child.id for child in children]
    return found


def _fits(event: StackEvent, query: dict[str, list[str]]) -> bool:
    action, _, rest = event.status.partition("_")
    statuses, actions = [*query["resource_status"], *query["status"]], [*query["resource_action"], *query["action"]]
    names, types = [*query["resource_name"], *query["name"]], [*query["resource_type"], *query["type"]]
    return ((not statuses or rest in statuses or event.status in statuses) and (not actions or action in actions)
            and (not names or event.name in names) and (not types or event.type in types))


def show(call: Call, stack_name: str, stack_id: str, resource: str, event_id: str) -> dict[str, Any]:
    """GET …/resources/{name}/events/{id}"""
    assert call.application is not None
    with call.application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id, deleted=True)
        event = db.scalar(select(StackEvent).where(StackEvent.id == event_id, StackEvent.stack_id == stack.id, StackEvent.name == resource))
        if event is None: raise errors.EntityUnknown(entity="Event", name=event_id)
        properties = event.properties
        if properties is None:
            row = db.scalar(select(StackResource).where(StackResource.stack_id == stack.id, StackResource.name == resource))
            properties = row.properties if row is not None else {}
    return {"event": told(call, stack, event, stack) | {"resource_type": event.type, "resource_properties": properties or {}}}


ITEM = "/v1/stacks/{stack_name}/{stack_id}"
ROUTES = [Route(ITEM + "/events", "GET", index, "events:index"), Route(ITEM + "/resources/{resource}/events", "GET", index, "events:index"),
          Route(ITEM + "/resources/{resource}/events/{event_id}", "GET", show, "events:show")]
