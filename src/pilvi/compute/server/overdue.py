"""Nothing waits for ever: tasks whose host has fallen silent move on, and what can't be undone there stays as a debt.

A boot whose machine was never dispatched is undone and tried on another host; one that was dispatched fails, and its undo waits for the
host
while port and place stay taken. A delete is done for the user, and the rest of it is owed.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.compute import errors
from pilvi.compute.resources.host import Host
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task
from pilvi.compute.server import ended
from pilvi.compute.server.boot import BOOT, DISPATCHED
from pilvi.compute.server.flows import FLOWS
from pilvi.compute.server.states import SERVER
from pilvi.core import clock, task
from pilvi.core.http.app import Application
from pilvi.core.reconcile import repaired


def settle_overdue(application: Application) -> None:
    """One look at the tasks that wait for hosts."""
    silent = application.config.silent_seconds
    with application.database.read() as db:
        since = clock.now() - silent
        quiet = set(db.scalars(select(Host.name).where((Host.seen_at < application.silent_since(silent)) | Host.forced_down)))
        waiting = [(t.id, t.queue.removeprefix("host:")) for t in db.execute(
            select(Task.id, Task.queue).where(Task.progress == "ready", Task.queue.like("host:%"), Task.updated_at < since))]
    for task_id, host in waiting:
        if host in quiet:
            with application.database.write() as db: _settle(db, task_id, host, silent)
    if waiting: application.state["worker"].wake()


def _settle(db: Session, task_id: str, host: str, silent: float) -> None:
    work = db.get(Task, task_id, with_for_update=True)
    if work is None or work.progress != "ready" or work.queue != f"host:{host}": return
    work.attempt += 1  # whatever the host still reports about it is refused
    work.lease_until, work.claimed_by = 0.0, None
    flow = FLOWS[work.flow]
    reason = errors.HostGone(host=host, seconds=silent).message
    if work.forward and not (work.flow == "boot" and work.step >= DISPATCHED) and work.flow != "delete":
        task.turn(db, flow, work, reason)
    else:
        if work.forward and work.flow == "boot": task.turn(db, BOOT, work, reason)
        _owe(db, work)
    repaired("compute", "overdue", task=task_id, flow=work.flow, host=host)


def _owe(db: Session, work: Any) -> None:
    """The user gets an answer now; what must be done on the host stays queued for it."""
    work.progress = "debt"
    db.flush()
    if work.flow == "delete": SERVER.finish(db, Server, work.subject_id, "delete", deleted_at=clock.now())
    else: SERVER.finish(db, Server, work.subject_id, work.flow, failed=True, fault=ended.fault_of(work))
