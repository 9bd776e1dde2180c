"""Snapshots of stacks: each resource keeps what it needs to come back, and the definition is kept beside.

Source: Orchestration API, "Stack snapshots".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.state import WrongState
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.stack_request import planned
from pilvi.orchestration.resources.tables import Stack, StackResource, StackSnapshot
from pilvi.orchestration.stack import converge, live, wish
from pilvi.orchestration.template import environment

BODY = {"type": ["object", "null"], "properties": {"name": {"type": ["string", "null"], "maxLength": 255}}}


def told(row: StackSnapshot) -> dict[str, Any]:
    """A snapshot as the API shows it."""
    return {"id": row.id, "name": row.name, "status": row.status, "status_reason": row.reason, "creation_time": clock.iso(row.created_at),
            "data": row.data if row.status == "COMPLETE" else None}


def find(db: Session, stack: Stack, snapshot_id: str) -> StackSnapshot:
    """Raises EntityUnknown."""
    row = db.get(StackSnapshot, snapshot_id)
    if row is None or row.stack_id != stack.id: raise errors.EntityUnknown(entity="Snapshot", name=snapshot_id)
    return row


def create(call: Call, stack_name: str, stack_id: str) -> Response:
    """POST …/snapshots"""
    assert call.db is not None
    stack = lookup.find(call.db, call, stack_name, stack_id)
    row = StackSnapshot(stack_id=stack.id, project_id=stack.project_id, name=(call.body or {}).get("name"), created_at=clock.now(),
                        data={"definition": converge.stated(stack)})
    call.db.add(row)
    call.db.flush()
    try: converge.begin(call.db, stack, "SNAPSHOT", {})
    except WrongState: raise errors.ActionInProgress(name=stack.name, action=stack.busy or stack.state) from None
    call.db.flush()
    return Response(202, told(row))  # without the envelope that the others have, as in Heat


def index(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/snapshots"""
    assert call.db is not None
    stack = lookup.find(call.db, call, stack_name, stack_id)
    query = select(StackSnapshot).where(StackSnapshot.stack_id == stack.id).order_by(StackSnapshot.created_at, StackSnapshot.id)
    return {"snapshots": [told(row) for row in call.db.scalars(query)]}


def show(call: Call, stack_name: str, stack_id: str, snapshot_id: str) -> dict[str, Any]:
    """GET …/snapshots/{id}"""
    assert call.db is not None
    return {"snapshot": told(find(call.db, lookup.find(call.db, call, stack_name, stack_id), snapshot_id))}


def _read(call: Call, stack_name: str, stack_id: str, snapshot_id: str) -> tuple[Stack, StackSnapshot, dict[str, StackResource]]:
    assert call.application is not None
    with call.application.database.read() as db:
        stack = lookup.find(db, call, stack_name, stack_id)
        return stack, find(db, stack, snapshot_id), live.current_rows(db, stack.id)


def delete(call: Call, stack_name: str, stack_id: str, snapshot_id: str) -> Response:
    """DELETE …/snapshots/{id}: with what the resources kept for it"""
    assert call.application is not None
    stack, kept, rows = _read(call, stack_name, stack_id, snapshot_id)
    if kept.status == "IN_PROGRESS": raise errors.ActionInProgress(name=stack.name, action="SNAPSHOT")
    plan = call.application.state["plans"].of(stack)
    for name, one in (kept.data.get("resources") or {}).items():
        if name not in rows or not one["snapshot"]: continue
        work = live.work_of(call.application, call, stack, plan, rows[name])
        live.kind_of(plan, rows[name]).delete_snapshot(work, one["snapshot"])
    with call.application.database.write() as db:
        row = db.get(StackSnapshot, snapshot_id)
        if row is not None: db.delete(row)
    return Response(204, None)


def restore(call: Call, stack_name: str, stack_id: str, snapshot_id: str) -> Response:
    """POST …/snapshots/{id}/restore: the stack is to become what it was; resources may change their properties for that"""
    assert call.application is not None
    stack, kept, rows = _read(call, stack_name, stack_id, snapshot_id)
    if kept.status != "COMPLETE": raise errors.RequestInvalid(reason=f"Snapshot {snapshot_id} is in status {kept.status}")
    definition = kept.data["definition"]
    template = _with_properties(call, stack, kept.data.get("resources") or {}, rows, definition["template"])
    made = planned(call, template, definition["files"], environment.parse(definition["environment"]), name=stack.name, stack_id=stack.id)
    with call.application.database.write() as db:
        current = lookup.find(db, call, stack_name, stack_id)
        try: wish.change(db, current, made, action="RESTORE", tags=definition["tags"], timeout_minutes=definition["timeout_minutes"])
        except WrongState: raise errors.ActionInProgress(name=stack.name, action=current.busy or current.state) from None
    return Response(202, None)


def _with_properties(call: Call, stack: Stack, told: Mapping[str, Any], rows: Mapping[str, StackResource],
                     template: Mapping[str, Any]) -> dict[str, Any]:
    assert call.application is not None
    plan = call.application.state["plans"].of(stack)
    resources = dict(template.get("resources") or {})
    for name, one in told.items():
        if name not in rows or name not in resources: continue
        work = live.work_of(call.application, call, stack, plan, rows[name])
        changed = live.kind_of(plan, rows[name]).restored_properties(work, one["snapshot"])
        if changed: resources[name] = {**resources[name], "properties": {**(resources[name].get("properties") or {}), **changed}}
    return {**template, "resources": resources} if resources else dict(template)


ITEM = "/v1/stacks/{stack_name}/{stack_id}/snapshots"
ROUTES = [
    Route(ITEM, "POST", create, "stacks:snapshot", transaction="write", body=BODY),
    Route(ITEM, "GET", index, "stacks:list_snapshots", transaction="read"),
    Route(ITEM + "/{snapshot_id}", "GET", show, "stacks:show_snapshot", transaction="read"),
    Route(ITEM + "/{snapshot_id}", "DELETE", delete, "stacks:delete_snapshot"),
    Route(ITEM + "/{snapshot_id}/restore", "POST", restore, "stacks:restore_snapshot")]
