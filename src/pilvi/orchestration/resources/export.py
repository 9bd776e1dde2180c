"""A stack as data: export, abandon (the stack goes, its things stay), and what adopting one takes from such data.

Source: Orchestration API, "Export stack", "Abandon stack", "Adopt stack".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.tables import Stack, StackResource, StackTask
from pilvi.orchestration.stack import live
from pilvi.orchestration.stack.states import STACK, split, status
from pilvi.orchestration.template.parse import EMPTY


def _data(db: Session, stack: Stack) -> dict[str, Any]:
    action, state = split(status(stack.state, stack.busy))
    resources = {}
    for name, row in live.current_rows(db, stack.id).items():
        row_action, row_state = split(status(row.state, row.busy))
        resources[name] = {"name": name, "type": row.type, "resource_id": row.physical_id, "metadata": row.meta or {},
                           "action": row_action, "status": row_state, "resource_data": row.data or {}}
    return {"name": stack.name, "id": stack.id, "action": action, "status": state, "template": stack.template, "files": stack.files or {},
            "environment": stack.environment or {}, "resources": resources, "project_id": stack.project_id, "stack_user_project_id": None,
            "tags": stack.tags or []}


def export(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/export"""
    assert call.db is not None
    return _data(call.db, lookup.find(call.db, call, stack_name, stack_id))


def abandon(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """DELETE …/abandon: forgets the stack and leaves what it made. Not while something is being done."""
    assert call.db is not None
    stack = lookup.find(call.db, call, stack_name, stack_id)
    if stack.busy: raise errors.ActionInProgress(name=stack.name, action=stack.busy)
    if call.db.scalar(select(Stack.id).where(Stack.owner_id == stack.id, Stack.deleted_at.is_(None)).limit(1)):
        raise errors.ActionUnsupported(action="Abandoning", what="a stack that has nested stacks")
    told = _data(call.db, stack)
    call.db.execute(delete_rows(StackResource).where(StackResource.stack_id == stack.id))
    call.db.execute(delete_rows(StackTask).where(StackTask.stack_id == stack.id))
    STACK.begin(call.db, Stack, stack.id, "DELETE")
    STACK.finish(call.db, Stack, stack.id, "DELETE", deleted_at=clock.now(), reason="Stack abandoned", template=EMPTY)
    return told


def template_of(data: Any) -> Any:
    """The template in adopt_stack_data."""
    return _parsed(data).get("template") if data is not None else None


def adopted(data: Any) -> dict[str, tuple[str, dict[str, Any]]] | None:
    """{resource: (physical id, what its type remembers)} in adopt_stack_data; None if none was given. Raises RequestInvalid."""
    if data is None: return None
    resources = _parsed(data).get("resources") or {}
    if not isinstance(resources, Mapping): raise errors.RequestInvalid(reason="adopt_stack_data has no map of resources")
    found = {}
    for name, one in resources.items():
        if not isinstance(one, Mapping) or not one.get("resource_id"): continue
        kept = one.get("resource_data")
        found[str(name)] = (str(one["resource_id"]), dict(kept) if isinstance(kept, Mapping) else {})
    return found


def _parsed(data: Any) -> Mapping[str, Any]:
    if isinstance(data, str):
        try: data = msgspec.json.decode(data)
        except msgspec.DecodeError: raise errors.RequestInvalid(reason="adopt_stack_data is not JSON") from None
    if not isinstance(data, Mapping): raise errors.RequestInvalid(reason="adopt_stack_data must be an object")
    return data


ITEM = "/v1/stacks/{stack_name}/{stack_id}"
ROUTES = [Route(ITEM + "/export", "GET", export, "stacks:export", transaction="read"),
          Route(ITEM + "/abandon", "DELETE", abandon, "stacks:abandon", transaction="write")]
