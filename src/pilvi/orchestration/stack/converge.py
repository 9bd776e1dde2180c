"""A stack's convergence: from a wish to a graph of tasks, and from the last task to the stack's end. All in the caller's transaction.

A traversal is one wish (create, update, rollback, delete, suspend …). `begin` writes a task for each resource, with how many others it
waits for; `done` releases those that waited for it; `failed` ends the traversal and, if the stack wants it, begins the rollback. A new
traversal takes the place of one that has not ended: tasks that run in a thread at that moment become stale (they save what they did and
move nothing else; nothing new begins before), all others are dropped, and the new traversal's tasks carry on what a resource is busy with.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.orchestration import graph
from pilvi.orchestration.errors import TooManyResources
from pilvi.orchestration.resources.tables import NEVER, Stack, StackResource, StackSnapshot, StackTask
from pilvi.orchestration.stack import record
from pilvi.orchestration.stack.states import STACK
from pilvi.orchestration.template import parse
from pilvi.orchestration.template.parse import RESOURCES_MOST

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

GRACE_SECONDS = 240.0
"""How long what was begun beside a failure may go on by itself."""
DEFAULT_TIMEOUT_MINUTES = 60
STATED = ("template", "files", "environment", "tags", "timeout_minutes")
"""What `Stack.previous` holds."""


def stated(stack: Stack) -> dict[str, Any]:
    """The stack's definition, to come back to."""
    return {name: getattr(stack, name) for name in STATED}


def begin(db: Session, stack: Stack, action: str, requires: Mapping[str, Iterable[str]], *, reason: str = "") -> None:
    """Starts a traversal. `requires`: {resource: those it comes after} for CREATE, UPDATE, ROLLBACK, RESTORE, ADOPT (empty for DELETE). The
    definition is already in the row. Raises WrongState."""
    STACK.begin(db, Stack, stack.id, action)
    said = reason or f"Stack {action} started"
    minutes = stack.timeout_minutes or DEFAULT_TIMEOUT_MINUTES
    stack.traversal, stack.reason, stack.deadline = new_id(), said, clock.now() + minutes * 60
    stack.root_id = stack.root_id or stack.id
    if action in ("UPDATE", "ROLLBACK", "RESTORE"): stack.renewed_at = clock.now()
    db.flush()
    db.refresh(stack)
    record.stack_event(db, stack, f"{action}_IN_PROGRESS", said)
    _drop_tasks(db, stack.id)
    rows = list(db.execute(select(StackResource.id, StackResource.name, StackResource.requires).where(StackResource.stack_id == stack.id)))
    write_tasks(db, stack, _nodes(action, requires, rows))
    settle(db, stack.id, stack.traversal)


def _drop_tasks(db: Session, stack_id: str) -> None:
    now = clock.now()
    db.execute(update(StackTask).where(StackTask.stack_id == stack_id, StackTask.lease_until > now)
               .values(stale=True, followers=[], traversal=""))
    db.execute(delete(StackTask).where(StackTask.stack_id == stack_id, StackTask.lease_until <= now))


Node = tuple[str, str]
"""(kind of task, name of the resource or id of its row)"""


def _nodes(action: str, requires: Mapping[str, Iterable[str]], rows: list[Any]) -> dict[Node, set[Node]]:
    """{node: those it waits for}"""
    if action in ("SUSPEND", "RESUME", "CHECK", "SNAPSHOT"): return _action_nodes(action.lower(), rows)
    nodes: dict[Node, set[Node]] = {("update", name): {("update", other) for other in needed} for name, needed in requires.items()}
    ids = {row.id for row in rows}
    for row in rows:
        nodes.setdefault(("cleanup", row.id), set())
        if row.name in requires: nodes["cleanup", row.id].add(("update", row.name))
        for other in row.requires or ():
            if other in ids: nodes.setdefault(("cleanup", other), set()).add(("cleanup", row.id))
    return nodes


def _action_nodes(kind: str, rows: list[Any]) -> dict[Node, set[Node]]:
    nodes: dict[Node, set[Node]] = {(kind, row.id): set() for row in rows}
    for row in rows:
        for other in row.requires or ():
            if (kind, other) not in nodes: continue
            if kind == "resume": nodes[kind, row.id].add((kind, other))
            elif kind == "suspend": nodes[kind, other].add((kind, row.id))
    return nodes


def write_tasks(db: Session, stack: Stack, nodes: Mapping[Node, Iterable[Node]]) -> None:
    """A row for each node."""
    ids = {node: new_id() for node in nodes}
    followers = graph.reversed_edges({ids[node]: [ids[other] for other in needed] for node, needed in nodes.items()})
    now = clock.now()
    made = []
    for node, needed in nodes.items():
        kind, subject = node
        waiting = len(set(needed))
        made.append({"id": ids[node], "stack_id": stack.id, "traversal": stack.traversal, "kind": kind,
                     "name": subject if kind == "update" else "", "resource_id": None if kind == "update" else subject,
                     "waiting": waiting, "followers": followers[ids[node]], "due_at": NEVER if waiting else now, "stale": False,
                     "lease_until": 0.0, "attempt": 0})
    if made: db.execute(insert(StackTask), made)


def done(db: Session, task: StackTask) -> None:
    """The task is over: those that waited for it only are released, and the stack may have come to its end."""
    _alone(db, task.stack_id)
    db.execute(delete(StackTask).where(StackTask.id == task.id))
    if task.followers:
        db.execute(update(StackTask).where(StackTask.id.in_(task.followers)).values(waiting=StackTask.waiting - 1))
        db.execute(update(StackTask).where(StackTask.id.in_(task.followers), StackTask.waiting == 0, StackTask.due_at == NEVER)
                   .values(due_at=clock.now()))
    if not task.stale: settle(db, task.stack_id, task.traversal)


def _alone(db: Session, stack_id: str) -> None:
    """Until the commit nobody else ends a task of the stack. Where writers do not wait for each other (PostgreSQL), the last two tasks
    would each see the other's, and nobody would end the stack."""
    db.execute(select(Stack.id).where(Stack.id == stack_id).with_for_update())


def settle(db: Session, stack_id: str, traversal: str) -> None:
    """Ends the stack's action if nothing is left to do."""
    _alone(db, stack_id)
    mine = (StackTask.stack_id == stack_id, StackTask.traversal == traversal, StackTask.stale.is_(False))
    if db.execute(select(StackTask.id).where(*mine).limit(1)).first() is not None: return
    stack = db.get(Stack, stack_id, populate_existing=True)
    if stack is None or stack.traversal != traversal or not stack.busy: return
    if stack.busy == "CHECK" and (broken := _broken(db, stack_id)): return _end(db, stack, broken)
    _end(db, stack, "")


def _broken(db: Session, stack_id: str) -> str:
    found = db.execute(select(StackResource.name, StackResource.reason).where(StackResource.stack_id == stack_id,
                                                                              StackResource.state == "CHECK_FAILED")).all()
    return "Resource CHECK failed: " + str([f"{row.name}: {row.reason}" for row in found]) if found else ""


def _end(db: Session, stack: Stack, failure: str) -> None:
    """Writes how the action ended; wakes the resource that the stack is nested in."""
    action = stack.busy or ""
    said = failure or f"Stack {action} completed successfully"
    values: dict[str, Any] = {"reason": said[:4000], "deadline": None}
    if not failure and action in ("CREATE", "UPDATE", "ROLLBACK", "RESTORE", "ADOPT"): values["previous"] = None
    if not failure and action == "DELETE":
        values["deleted_at"] = clock.now()
        db.execute(delete(StackSnapshot).where(StackSnapshot.stack_id == stack.id))
    STACK.finish(db, Stack, stack.id, action, failed=bool(failure), **values)
    if action == "SNAPSHOT": _keep_snapshot(db, stack, failure)
    record.stack_event(db, stack, f"{action}_{'FAILED' if failure else 'COMPLETE'}", said[:4000])
    if stack.owner_resource_id: wake(db, stack.owner_resource_id)


def _keep_snapshot(db: Session, stack: Stack, failure: str) -> None:
    """What the resources told goes into the snapshot that this traversal was for."""
    found = db.scalar(select(StackSnapshot).where(StackSnapshot.stack_id == stack.id, StackSnapshot.status == "IN_PROGRESS"))
    if found is None: return
    rows = db.scalars(select(StackResource).where(StackResource.stack_id == stack.id, StackResource.replaced_by.is_(None)))
    told = {row.name: {"type": row.type, "physical_id": row.physical_id, "metadata": row.meta or {},
                       "snapshot": (row.data or {}).get("snapshots", {}).get(stack.traversal, {})} for row in rows}
    found.data = {**found.data, "resources": told}
    found.status, found.reason = ("FAILED", failure[:4000]) if failure else ("COMPLETE", "Stack SNAPSHOT completed successfully")
    db.flush()


def wake(db: Session, resource_id: str) -> None:
    """Whatever is being done with the resource is looked at now."""
    db.execute(update(StackTask).where(StackTask.resource_id == resource_id, StackTask.waiting == 0).values(due_at=clock.now()))


def wake_stack(db: Session, stack_id: str) -> None:
    """Everything of the stack that is waited for is looked at now: something came from outside."""
    db.execute(update(StackTask).where(StackTask.stack_id == stack_id, StackTask.waiting == 0, StackTask.due_at < NEVER)
               .values(due_at=clock.now()))


def failed(db: Session, application: Application, stack_id: str, traversal: str, reason: str, *, abandon: bool = False) -> None:
    """The traversal can't be brought to its end. What has begun goes on for a while (`abandon`: not at all), what has not is dropped."""
    stack = db.get(Stack, stack_id, populate_existing=True)
    if stack is None or stack.traversal != traversal or not stack.busy: return
    now = clock.now()
    mine = (StackTask.stack_id == stack_id, StackTask.traversal == traversal)
    begun = or_(StackTask.attempt > 0, StackTask.lease_until > now)
    db.execute(delete(StackTask).where(*mine, ~begun))
    db.execute(update(StackTask).where(*mine).values(stale=True, followers=[], give_up_at=now if abandon else now + GRACE_SECONDS))
    if abandon: db.execute(update(StackTask).where(*mine, StackTask.lease_until <= now).values(due_at=now))
    if stack.busy in ("CREATE", "UPDATE", "ADOPT", "RESTORE") and not stack.disable_rollback:
        return roll_back(db, application, stack, reason)
    _end(db, stack, reason)


def roll_back(db: Session, application: Application, stack: Stack, reason: str) -> None:
    """Begins to go back to what the stack was before the action in progress: to nothing after a create."""
    record.stack_event(db, stack, f"{stack.busy}_FAILED", reason[:4000])
    back = stack.previous or {"template": parse.EMPTY, "files": {}, "environment": {}, "tags": [], "timeout_minutes": stack.timeout_minutes}
    for name in STATED: setattr(stack, name, back[name])
    db.flush()
    plan = application.state["plans"].make(stack)
    begin(db, stack, "ROLLBACK", {name: one.requires for name, one in plan.resources.items()},
          reason=f"Stack rollback started: {reason}"[:4000])


def count(db: Session, project_id: str) -> int:
    """How many stacks a project has, nested ones left out."""
    return db.scalar(select(func.count()).select_from(Stack).where(Stack.project_id == project_id, Stack.owner_id.is_(None),
                                                                   Stack.deleted_at.is_(None))) or 0


def check_size(db: Session, root_id: str, stack_id: str, coming: int) -> None:
    """A stack with all that is nested in it is bounded as one; `coming`: what a nested one of it is to have. Raises StackLimit."""
    tree = select(Stack.id).where(or_(Stack.id == root_id, Stack.root_id == root_id), Stack.id != stack_id, Stack.deleted_at.is_(None))
    there = select(func.count()).where(StackResource.stack_id.in_(tree), StackResource.state != "DELETE_COMPLETE").scalar_subquery()
    planned = select(func.count()).where(StackTask.stack_id.in_(tree), StackTask.kind == "update",
                                         StackTask.resource_id.is_(None)).scalar_subquery()
    if (db.scalar(select(there + planned)) or 0) + coming > RESOURCES_MOST: raise TooManyResources(most=RESOURCES_MOST)


def stop(db: Session, stack: Stack, reason: str) -> None:
    """The action in progress ends where it is: what has begun goes on for a while, what has not is dropped."""
    now = clock.now()
    mine = (StackTask.stack_id == stack.id, StackTask.traversal == stack.traversal)
    db.execute(delete(StackTask).where(*mine, StackTask.attempt == 0, StackTask.lease_until <= now))
    db.execute(update(StackTask).where(*mine).values(stale=True, followers=[], give_up_at=now + GRACE_SECONDS))
    _end(db, stack, reason)
