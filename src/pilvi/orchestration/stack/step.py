"""One look at one task: what is known of its stack and resource, and how what was done is saved.

`load` reads in one transaction, hooks run outside any, `save` writes in one. A task whose stack has moved on meanwhile (it is stale, or
somebody else took it over) saves what it did to the resource, begins nothing and moves nothing else.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.orchestration.resources.tables import NEVER, Stack, StackResource, StackTask
from pilvi.orchestration.stack import converge, credentials, live, record
from pilvi.orchestration.stack.plan import Plan, Planned
from pilvi.orchestration.stack.states import RESOURCE, status
from pilvi.orchestration.template import functions
from pilvi.orchestration.types.interface import ResourceType, Work

if TYPE_CHECKING:
    from pilvi.core.http.app import Application


class Gone(Exception):
    """The task has nothing left to work on."""


@dataclass
class Step:
    """What a task's turn works with. `row` is None for a resource that is not there yet."""
    application: Application
    task: StackTask
    stack: Stack
    plan: Plan
    row: StackResource | None
    needed: dict[str, StackResource]
    call: Call = field(default_factory=Call)

    @property
    def planned(self) -> Planned:
        return self.plan.resources[self.task.name]

    def resolved(self) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        """(properties, metadata, update policy) as the template wants them now. Raises Failure. Asks other services."""
        definition = self.planned.definition
        scope = live.LiveScope(self.application, self.call, self.stack, self.plan, self.needed)
        return (functions.resolve(dict(definition.properties), scope), functions.resolve(definition.metadata, scope),
                functions.resolve(dict(definition.update_policy), scope))

    def resolve(self, value: Any) -> Any:
        """Any part of the template, as it is now."""
        return functions.resolve(value, live.LiveScope(self.application, self.call, self.stack, self.plan, self.needed))

    def kind(self) -> ResourceType:
        """The type of the resource that is there."""
        assert self.row is not None
        return live.kind_of(self.plan, self.row)

    def work(self, *, again: bool = False) -> Work:
        """The resource for its type's hooks."""
        assert self.row is not None
        work = live.work_of(self.application, self.call, self.stack, self.plan, self.row)
        work.again = again
        return work

    # -- writing

    def save(self, write: Callable[[Session, StackTask], None], *, starting: bool = False) -> bool:
        """Writes in one transaction, with the task as it is now; one that is not ours any more is only pretended. `starting`: this begins
        something, so it is not done (False) if the stack has moved on."""
        with self.application.database.write() as db:
            task = db.get(StackTask, self.task.id, populate_existing=True)
            if task is None or task.attempt != self.task.attempt:
                task = StackTask(id="", stack_id=self.stack.id, traversal="", stale=True, followers=[], kind=self.task.kind)
            if starting and task.stale:
                db.execute(delete(StackTask).where(StackTask.id == task.id))
                return False
            write(db, task)
        return True

    def insert(self, db: Session, row: StackResource) -> None:
        """Writes a new row; the one that it replaces learns it."""
        db.add(row)
        db.flush()
        if row.replaces:
            db.execute(update(StackResource).where(StackResource.id == row.replaces).values(replaced_by=row.id))
        db.execute(update(StackTask).where(StackTask.id == self.task.id).values(resource_id=row.id))

    def begin(self, db: Session, row: StackResource, action: str, reason: str = "state changed", **values: Any) -> None:
        """The resource is busy with the action from now on."""
        RESOURCE.begin(db, StackResource, row.id, action)
        now = clock.now()
        progress = {"action": action, "traversal": self.task.traversal, "began_at": now, "begun": False, "polls": 0,
                    **values.pop("progress", {})}
        db.execute(update(StackResource).where(StackResource.id == row.id)
                   .values(progress=progress, reason=reason, changed_at=now, **values))
        row.progress, row.reason = progress, reason
        for name, value in values.items(): setattr(row, name, value)
        record.resource_event(db, row, f"{action}_IN_PROGRESS", reason)

    def finish(self, db: Session, row: StackResource, action: str, failure: str = "", **values: Any) -> None:
        """The action has ended."""
        said = failure[:4000] or "state changed"
        RESOURCE.finish(db, StackResource, row.id, action, failed=bool(failure), reason=said, progress=None, changed_at=clock.now(),
                        **values)
        record.resource_event(db, row, f"{action}_{'FAILED' if failure else 'COMPLETE'}", said,
                              properties=row.properties if failure else None)

    def later(self, db: Session, task: StackTask, seconds: float | None) -> None:
        """The task waits: so long, or (None) until it is woken. One whose stack has moved on is over: another carries on."""
        if not task.traversal:
            db.execute(delete(StackTask).where(StackTask.id == task.id))
            return
        db.execute(update(StackTask).where(StackTask.id == task.id).values(
            due_at=NEVER if seconds is None else clock.now() + seconds, lease_until=0.0, claimed_by=None))

    def done(self, db: Session, task: StackTask) -> None:
        """The task is over."""
        if task.id: converge.done(db, task)

    def fail_stack(self, db: Session, task: StackTask, action: str, reason: str) -> None:
        """The task failed, and with it the traversal."""
        if not task.id: return
        db.execute(delete(StackTask).where(StackTask.id == task.id))
        if not task.stale:
            converge.failed(db, self.application, task.stack_id, task.traversal, f"Resource {action} failed: {reason}"[:4000])


def load(application: Application, task: StackTask) -> Step:
    """Raises Gone."""
    plans = application.state["plans"]
    with application.database.read() as db:
        stack = db.get(Stack, task.stack_id)
        if stack is None or (stack.traversal != task.traversal and not task.stale): raise Gone()
        plan = plans.of(stack)
        row, needed = None, {}
        if task.kind == "update":
            planned = plan.resources.get(task.name)
            if planned is None and not task.stale: raise Gone()
            found = live.current_rows(db, stack.id, [task.name, *(planned.requires if planned else ())])
            row, needed = found.get(task.name), found
            if task.stale: row = db.get(StackResource, task.resource_id) if task.resource_id else None
        elif task.resource_id: row = db.get(StackResource, task.resource_id)
        root = stack if stack.root_id in ("", stack.id) else db.get(Stack, stack.root_id)
    call = credentials.call_for(application, root.credentials if root is not None else None)
    return Step(application, task, stack, plan, row, needed, call)


def shown_status(row: StackResource) -> str:
    """What the API says of a resource."""
    return status(row.state, row.busy)
