"""Signals to resources, and marking them unhealthy.

Source: Orchestration API, "Send a signal to a resource", "Mark a resource as unhealthy".
"""
from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.errors import Conflict
from pilvi.orchestration import errors
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack import converge, credentials, hooks, live, record
from pilvi.orchestration.stack.states import RESOURCE, status
from pilvi.orchestration.types.interface import ResourceType, Work

if TYPE_CHECKING:
    from pilvi.core.http.app import Application


class ResourceBusy(Conflict):
    """The resource {name} is locked: something is being done with it."""
    code = "ActionInProgress"


def signal(application: Application, call: Call | None, stack: Stack, row: StackResource, details: Any) -> None:
    """Gives a resource what was posted for it: a hook to clear, or its type's business. `call` None: as the stack's owner."""
    if isinstance(details, dict) and "unset_hook" in details: return _clear(application, row, str(details["unset_hook"]))
    plan = application.state["plans"].of(stack)
    kind = live.kind_of(plan, row)
    if type(kind).signal is ResourceType.signal: raise errors.ActionUnsupported(action="Signal", what=f"resource type {kind.name}")
    if "DELETE" in (stack.busy, row.busy): raise errors.ActionUnsupported(action="Signal", what="a resource that is being deleted")
    with LOCKS[hash(row.id) % len(LOCKS)]:
        _deliver(application, call or _owner(application, stack), stack, row.id, details)


LOCKS = [Lock() for _ in range(64)]
"""Signals to one resource come one after the other."""


def _deliver(application: Application, call: Call, stack: Stack, row_id: str, details: Any) -> None:
    with application.database.read() as db: row = db.get(StackResource, row_id)
    if row is None: return
    plan = application.state["plans"].of(stack)
    work = live.work_of(application, call, stack, plan, row)
    told = live.kind_of(plan, row).signal(work, details)
    with application.database.write() as db:
        current = db.get(StackResource, row.id, populate_existing=True)
        if current is None: return
        current.data = _merged(current.data or {}, row.data or {}, work)
        if work.metadata != (row.meta or {}): current.meta = work.metadata
        db.flush()
        record.resource_event(db, current, "SIGNAL_COMPLETE", told or f"Signal: {_short(details)}")
        converge.wake_stack(db, row.stack_id)


def _merged(now: dict[str, Any], before: dict[str, Any], work: Work) -> dict[str, Any]:
    """What the hook changed, over what the row says by now: other signals may have come meanwhile."""
    changed = {name: value for name, value in work.data.items() if before.get(name) != value}
    return {**now, **changed}


def _short(details: Any) -> str:
    return "no details" if details is None else str(details)[:200]


def _owner(application: Application, stack: Stack) -> Call:
    with application.database.read() as db: root = db.get(Stack, stack.root_id) if stack.root_id else stack
    return credentials.call_for(application, root.credentials if root is not None else None)


def _clear(application: Application, row: StackResource, hook: str) -> None:
    with application.database.write() as db:
        current, stack = db.get(StackResource, row.id, populate_existing=True), db.get(Stack, row.stack_id)
        if current is None or stack is None or not hooks.clear(db, current, stack.traversal, hook):
            raise errors.RequestInvalid(reason=f'The "{hook}" hook is not defined on Resource "{row.name}"')


def mark(db: Session, row: StackResource, unhealthy: bool, reason: str) -> None:
    """An unhealthy resource is replaced by the next update. In the caller's transaction. Raises ResourceBusy."""
    if row.busy: raise ResourceBusy(name=row.name)
    if unhealthy == (row.state == "CHECK_FAILED"): return
    end = "CHECK_FAILED" if unhealthy else "CHECK_COMPLETE"
    said = reason or ("state changed by resource_mark_unhealthy api" if unhealthy else "unhealthy mark removed")
    RESOURCE.force(db, StackResource, row.id, end, reason=said)
    db.execute(update(StackResource).where(StackResource.id == row.id).values(progress=None))
    record.resource_event(db, row, status(end, None), said)
