"""What a task does to its resource: create, change, replace, delete, suspend, resume, check, snapshot.

Each turn begins the action (the row says so before anything happens), calls the type's hook, or asks it again whether it is done. So a
process may die at any point: the next turn finds the row busy and carries on.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.errors import Failure, Unauthenticated, Unavailable
from pilvi.orchestration.resources.tables import StackResource, StackTask
from pilvi.orchestration.stack import hooks, record
from pilvi.orchestration.stack.step import Gone, Step, load
from pilvi.orchestration.types.interface import Replace, ResourceType, Work, taken

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()
AWAY_AGAIN_SECONDS = 1.0
POLLED = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "SUSPEND": "suspended", "RESUME": "resumed", "CHECK": "checked"}


@dataclass
class Outcome:
    """How a turn went. `seconds`: ask again after so many; None: it is over."""
    seconds: float | None = None
    failure: str = ""
    replace: bool = False


def carry(application: Application, task: StackTask) -> None:
    """One turn of a task. Raises Unavailable when the database is away; everything else ends in the rows."""
    try: step = load(application, task)
    except Gone:
        with application.database.write() as db: db.execute(delete(StackTask).where(StackTask.id == task.id))
        return
    if task.give_up_at is not None and task.give_up_at <= clock.now(): return _give_up(step)
    if step.row is not None and step.row.busy and task.kind != "cleanup":
        return _call_off(step, step.row) if _overtaken(step, step.row) else _act(step, again=True)
    if task.stale:
        step.save(step.done)
        return
    if task.kind == "update": return _converge(step)
    if step.row is None:
        step.save(step.done)
        return
    if task.kind == "cleanup": return _clean_up(step)
    _begin_and_act(step, task.kind.upper())


# -- the hook and the question whether it is done


def _turn(step: Step, kind: ResourceType, work: Work, progress: dict[str, Any]) -> Outcome:
    """Calls the hook if it has not been called, and asks whether it is done. Changes work and progress."""
    action = progress["action"]
    try:
        if not progress["begun"]:
            _start(kind, work, action, progress)
            progress["begun"] = True
        if _finished(kind, work, action, progress): return Outcome()
    except Unavailable as away:
        LOG.info("service away", resource=work.name, action=action, reason=away.message)
        return Outcome(AWAY_AGAIN_SECONDS)
    except Replace:
        return Outcome(replace=True)
    except Exception as failure:
        if not isinstance(failure, Failure | NotImplementedError): LOG.exception("resource failed", resource=work.name, action=action)
        return Outcome(failure=sentence(work.name, failure))
    progress["polls"] += 1
    return Outcome(min(kind.first_wait_seconds * 1.5 ** progress["polls"], kind.longest_wait_seconds))


def _start(kind: ResourceType, work: Work, action: str, progress: dict[str, Any]) -> None:
    if action == "UPDATE": kind.update(work, progress["changes"])
    elif action == "SNAPSHOT": progress["data"] = kind.snapshot(work)
    elif action == "DELETE":
        for kept in (work.data.pop("snapshots", None) or {}).values():
            if kept: kind.delete_snapshot(work, kept)
        kind.delete(work)
    else: getattr(kind, action.lower())(work)


def _finished(kind: ResourceType, work: Work, action: str, progress: dict[str, Any]) -> bool:
    if action == "UPDATE": return kind.updated(work, progress["changes"])
    if action == "SNAPSHOT": return kind.snapshotted(work, progress["data"])
    return bool(getattr(kind, POLLED[action])(work))


def sentence(name: str, failure: Exception) -> str:
    """A failure as Heat words it: Kind: resources.NAME: message."""
    said = failure.message if isinstance(failure, Failure) else str(failure)
    kind = (failure.code if isinstance(failure, Failure) else None) or type(failure).__name__
    return f"{kind}: resources.{name}: {said}"


def _act(step: Step, *, again: bool) -> None:
    """A turn with the action that the resource is busy with, and its outcome into the rows."""
    row = step.row
    assert row is not None
    progress = dict(row.progress or {"action": row.busy, "began_at": clock.now(), "begun": False, "polls": 0})
    kind, work = step.kind(), step.work(again=(again or progress.get("again", False)) and not progress["begun"])
    outcome = _turn(step, kind, work, progress)
    if outcome.replace: return _replace_instead(step, row)
    if not outcome.failure and outcome.seconds is None and hooks.pause_after(step, row, progress): return
    step.save(lambda db, task: _write(db, task, step, row, work, progress, outcome))


def _write(db: Session, task: StackTask, step: Step, row: StackResource, work: Work, progress: dict[str, Any], outcome: Outcome) -> None:
    action = progress["action"]
    row.physical_id = work.physical_id
    kept: dict[str, Any] = {"physical_id": work.physical_id, "data": work.data}
    if work.metadata != (row.meta or {}): kept["meta"] = work.metadata
    if outcome.seconds is not None:
        again = {} if progress["begun"] else {"again": True}
        db.execute(update(StackResource).where(StackResource.id == row.id).values(progress={**progress, **again}, **kept))
        return step.later(db, task, outcome.seconds)
    if outcome.failure:
        step.finish(db, row, action, outcome.failure, **kept)
        if _of_another(task, progress): return step.later(db, task, 0.0)
        if action == "CHECK": return step.done(db, task)
        return step.fail_stack(db, task, action, outcome.failure)
    if action == "DELETE": return _forget(db, task, step, row, then_anew=task.kind == "update" and _of_another(task, progress))
    if action == "SNAPSHOT": kept["data"] = {**work.data, "snapshots": {**work.data.get("snapshots", {}), task.traversal: progress["data"]}}
    if "wanted" in progress: kept["properties"] = progress["wanted"]
    step.finish(db, row, action, **kept)
    if _of_another(task, progress): return step.later(db, task, 0.0)
    step.done(db, task)


def _of_another(task: StackTask, progress: dict[str, Any]) -> bool:
    """Did an earlier traversal begin what has just ended? Then the task's own turn only comes now."""
    return bool(task.traversal) and not task.stale and progress.get("traversal", task.traversal) != task.traversal


def _forget(db: Session, task: StackTask, step: Step, row: StackResource, *, then_anew: bool = False) -> None:
    """The thing is gone, and so is its row. `then_anew`: what an earlier traversal was ending is wanted again."""
    record.resource_event(db, row, "DELETE_COMPLETE", "state changed")
    db.execute(update(StackResource).where(StackResource.id == row.replaces).values(replaced_by=None))
    db.execute(delete(StackResource).where(StackResource.id == row.id))
    if then_anew: step.later(db, task, 0.0)
    else: step.done(db, task)


def _overtaken(step: Step, row: StackResource) -> bool:
    """Is the resource busy with what a rollback is to undo? Any other traversal carries on what an earlier one began."""
    begun_by = (row.progress or {}).get("traversal")
    return step.stack.busy == "ROLLBACK" and not step.task.stale and begun_by != step.task.traversal


def _call_off(step: Step, row: StackResource) -> None:
    """Ends what the resource is busy with, as failed; then the task's own turn comes."""
    action = row.busy or ""
    step.kind().given_up(step.work())

    def write(db: Session, task: StackTask) -> None:
        step.finish(db, row, action, f"{action} aborted (user triggered cancel)" if action != "DELETE" else "DELETE aborted")
        step.later(db, task, 0.0)

    step.save(write, starting=True)


def _begin_and_act(step: Step, action: str, **progress: Any) -> None:
    row = step.row
    assert row is not None
    if step.save(lambda db, task: step.begin(db, row, action, progress=progress), starting=True): _act(step, again=False)


# -- towards what the template wants


def _converge(step: Step) -> None:
    row = step.row
    if row is None: return _create(step, None)
    if step.stack.busy == "ROLLBACK" and row.replaces and _return_to_former(step, row): return
    if row.state in ("INIT_COMPLETE", "INIT_FAILED"): return _create(step, row)
    if hooks.pause_before(step, row, "update"): return
    try:
        wanted, meta, policy = step.resolved()
        decision, changes = _decide(step, row, wanted)
    except Unavailable:
        step.save(lambda db, task: step.later(db, task, AWAY_AGAIN_SECONDS))
        return
    except Exception as failure:
        return _fail(step, row, "UPDATE", failure)
    if decision == "replace": return _create(step, None, replaces=row)
    kept = _definition_columns(step, meta, policy, row)
    if decision == "keep":
        step.save(lambda db, task: _keep(db, task, step, row, kept))
        return
    facts = {"changes": changes, "wanted": wanted}
    if not step.save(lambda db, task: step.begin(db, row, "UPDATE", progress=facts, **kept), starting=True): return
    row.properties = wanted
    _act(step, again=False)


def _return_to_former(step: Step, row: StackResource) -> bool:
    """A rollback finds that what the update replaced is still there: it stands for the resource again, and the replacement goes."""
    with step.application.database.read() as db: former = db.get(StackResource, row.replaces)
    if former is None or former.busy or former.state.startswith("DELETE"): return False

    def write(db: Session, task: StackTask) -> None:
        db.execute(update(StackResource).where(StackResource.id == former.id).values(replaced_by=None, replaces=None))
        db.execute(update(StackResource).where(StackResource.id == row.id).values(replaced_by=former.id, replaces=None))
        step.later(db, task, 0.0)

    step.save(write, starting=True)
    return True


def _keep(db: Session, task: StackTask, step: Step, row: StackResource, kept: dict[str, Any]) -> None:
    db.execute(update(StackResource).where(StackResource.id == row.id).values(**kept))
    step.done(db, task)


def _decide(step: Step, row: StackResource, wanted: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """("keep" | "update" | "replace", changes). Raises Failure for what may not be done."""
    planned = step.planned
    if planned.type_name != row.type: return _allowed(step, row, "replace"), {}
    if row.external: return "keep", {}
    kind, work = planned.type, step.work()
    new = taken(kind, wanted)
    changes = {name: value for name, value in new.items() if value != work.properties.get(name)}
    if row.state in ("CHECK_FAILED", "DELETE_FAILED"): return _allowed(step, row, "replace"), {}  # of it may be little left
    if row.state.endswith("_FAILED"):
        return (_allowed(step, row, "replace"), {}) if kind.failed_needs_replacement(work) else ("update", changes)
    if not changes: return ("update" if kind.always_update else "keep"), {}
    _check_immutable(kind, changes)
    may = all(name not in kind.properties or kind.properties[name].update for name in changes)
    in_place = may and not kind.needs_replacement(work, changes)
    return _allowed(step, row, "update" if in_place else "replace"), changes


def _allowed(step: Step, row: StackResource, decision: str) -> str:
    restricted = step.plan.environment.restrictions(row.name)
    if decision in restricted: raise Failure(f"{decision} is restricted for resource.")
    return decision


def _check_immutable(kind: ResourceType, changes: Mapping[str, Any]) -> None:
    fixed = sorted(name for name in changes if name in kind.properties and kind.properties[name].immutable)
    if fixed: raise Failure(f"Update to properties {', '.join(fixed)} of {kind.name} is not allowed (they are immutable)")


def _definition_columns(step: Step, meta: Any, policy: Any, row: StackResource | None) -> dict[str, Any]:
    """What the row keeps of the template beside the properties."""
    definition = step.planned.definition
    ids = [step.needed[name].id for name in sorted(step.planned.requires) if name in step.needed]
    kept: dict[str, Any] = {"requires": ids, "update_policy": policy, "deletion_policy": step.resolve(definition.deletion_policy)}
    if row is None or meta != row.template_meta: kept |= {"meta": meta, "template_meta": meta}
    return kept


def _create(step: Step, row: StackResource | None, replaces: StackResource | None = None) -> None:
    """A new thing. `row`: one that waits for it already (a hook held it back)."""
    planned, fresh = step.planned, row is None
    if row is None:
        row = StackResource(id=new_id(), stack_id=step.stack.id, name=step.task.name, type=planned.type_name, data={}, meta={}, paused=[],
                            replaces=replaces and replaces.id, created_at=clock.now(), cleared=[], external=False)
    step.row = row
    if hooks.pause_before(step, row, "create", fresh=fresh): return
    try:
        wanted, meta, policy = step.resolved()
        kept = _definition_columns(step, meta, policy, None)
        external = step.resolve(planned.definition.external_id)
    except Unavailable:
        step.save(lambda db, task: step.later(db, task, AWAY_AGAIN_SECONDS))
        return
    except Exception as failure:
        return _fail(step, row, "CREATE", failure, fresh=fresh)
    if external: kept |= {"physical_id": str(external), "external": True}
    row.properties, row.meta = wanted, meta

    def start(db: Session) -> None:
        if fresh: step.insert(db, row)
        step.begin(db, row, "CREATE", properties=wanted, **kept)

    def stand_for(db: Session, task: StackTask) -> None:
        start(db)
        step.finish(db, row, "CREATE")
        step.done(db, task)

    def adopt(db: Session, task: StackTask) -> None:
        step.begin(db, row, "ADOPT", properties=wanted, **kept)
        step.finish(db, row, "ADOPT")
        step.done(db, task)

    if step.stack.busy == "ADOPT" and row.physical_id: step.save(adopt, starting=True)
    elif external: step.save(stand_for, starting=True)
    elif planned.type.local: _create_at_once(step, row, start)
    elif step.save(lambda db, task: start(db), starting=True): _act(step, again=False)


def _create_at_once(step: Step, row: StackResource, start: Any) -> None:
    """A thing without effects outside: made first, then written with its row in one go."""
    progress: dict[str, Any] = {"action": "CREATE", "traversal": step.task.traversal, "began_at": clock.now(), "begun": False, "polls": 0}
    work = step.work()
    outcome = _turn(step, step.planned.type, work, progress)

    def write(db: Session, task: StackTask) -> None:
        start(db)
        _write(db, task, step, row, work, progress, outcome)

    if not outcome.failure and outcome.seconds is None and hooks.wants_after(step, row, "create"):
        if step.save(lambda db, task: start(db), starting=True): _act(step, again=False)
        return
    step.save(write, starting=True)


def _replace_instead(step: Step, row: StackResource) -> None:
    """The type found that it can't be changed in place."""
    step.save(lambda db, task: step.finish(db, row, "UPDATE"))
    _create(step, None, replaces=row)


def _fail(step: Step, row: StackResource, action: str, failure: Exception, *, fresh: bool = False) -> None:
    if not isinstance(failure, Failure): LOG.exception("resource failed", resource=row.name, action=action)
    if isinstance(failure, Unauthenticated): LOG.warning("stack's credentials were refused", stack=step.stack.id)
    said = sentence(row.name, failure)

    def write(db: Session, task: StackTask) -> None:
        if fresh: step.insert(db, row)
        step.begin(db, row, action)
        step.finish(db, row, action, said)
        step.fail_stack(db, task, action, said)

    step.save(write, starting=True)


# -- away with what the template no longer wants


def _clean_up(step: Step) -> None:
    row = step.row
    assert row is not None
    wanted = row.name in step.plan.resources and step.stack.busy != "DELETE"
    if wanted and row.replaced_by is None:
        step.save(step.done)
        return
    if row.busy == "DELETE": return _act(step, again=True)
    if hooks.pause_before(step, row, "delete"): return
    unmade = row.state == "INIT_COMPLETE" and row.busy is None
    if row.external or unmade or row.deletion_policy == "Retain":
        step.save(lambda db, task: _forget(db, task, step, row))
        return
    lost = row.busy == "CREATE" and not (row.progress or {}).get("begun", True)
    if row.busy: step.kind().given_up(step.work())
    if step.kind().local and not row.busy: return _delete_at_once(step, row)
    if step.save(lambda db, task: step.begin(db, row, "DELETE", progress={"again": lost}), starting=True): _act(step, again=lost)


def _delete_at_once(step: Step, row: StackResource) -> None:
    progress: dict[str, Any] = {"action": "DELETE", "traversal": step.task.traversal, "began_at": clock.now(), "begun": False, "polls": 0}
    work = step.work()
    outcome = _turn(step, step.kind(), work, progress)

    def write(db: Session, task: StackTask) -> None:
        step.begin(db, row, "DELETE")
        _write(db, task, step, row, work, progress, outcome)

    step.save(write, starting=True)


def _give_up(step: Step) -> None:
    """The time of something begun is over: the resource has failed, the thing is left as it is."""
    row = step.row
    if row is None or not row.busy:
        step.save(step.done)
        return
    action = row.busy
    step.kind().given_up(step.work())

    def write(db: Session, task: StackTask) -> None:
        step.finish(db, row, action, f"{action} aborted")
        step.done(db, task)

    step.save(write)
