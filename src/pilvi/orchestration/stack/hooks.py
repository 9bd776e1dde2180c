"""Hooks: points before and after an action at which a resource waits until somebody clears them.

Source: Template Guide, "Environments", "Pause stack creation or update on a given resource".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.orchestration.resources.tables import StackResource, StackTask
from pilvi.orchestration.stack import record
from pilvi.orchestration.stack.states import status
from pilvi.orchestration.stack.step import Step


def pause_before(step: Step, row: StackResource, action: str, *, fresh: bool = False) -> bool:
    """True if the resource waits now. `fresh`: its row has still to be written."""
    hook = f"pre-{action}"
    if not _wanted(step, row, hook): return False

    def write(db: Session, task: StackTask) -> None:
        if fresh: step.insert(db, row)
        _pause(db, task, step, row, hook, action)

    step.save(write, starting=True)
    return True


def wants_after(step: Step, row: StackResource, action: str) -> bool:
    """Is there a hook after the action that nobody has cleared?"""
    return _wanted(step, row, f"post-{action}")


def pause_after(step: Step, row: StackResource, progress: dict[str, Any]) -> bool:
    """True if what is done is not to be told before somebody clears the hook."""
    action = progress["action"].lower()
    if not wants_after(step, row, action): return False
    step.save(lambda db, task: _pause(db, task, step, row, f"post-{action}", action))
    return True


def _wanted(step: Step, row: StackResource, hook: str) -> bool:
    return hook in step.plan.environment.hooks(row.name) and f"{step.task.traversal} {hook}" not in (row.cleared or ())


def _pause(db: Session, task: StackTask, step: Step, row: StackResource, hook: str, action: str) -> None:
    if hook not in (row.paused or ()):
        db.execute(update(StackResource).where(StackResource.id == row.id).values(paused=[*(row.paused or ()), hook]))
        said = f"{action.upper()} paused until Hook {hook} is cleared"
        record.resource_event(db, row, status(row.state or "INIT_COMPLETE", row.busy), said)
    db.execute(update(StackTask).where(StackTask.id == task.id).values(resource_id=row.id))
    step.later(db, task, None)


def clear(db: Session, row: StackResource, traversal: str, hook: str) -> bool:
    """Clears a hook; False if the resource does not wait at it. In the caller's transaction."""
    if hook not in (row.paused or ()): return False
    row.paused = [one for one in row.paused if one != hook]
    row.cleared = [f"{traversal} {hook}", *(one for one in row.cleared or () if one.startswith(traversal))]
    db.flush()
    record.resource_event(db, row, status(row.state, row.busy), f"Hook {hook} is cleared")
    db.execute(update(StackTask).where(StackTask.resource_id == row.id, StackTask.waiting == 0).values(due_at=clock.now()))
    return True
