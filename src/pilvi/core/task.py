"""Durable tasks: long work as a row, written in the transaction that changes the state, carried out step by step, undone on failure.

A `Flow` is a list of steps. A `Step` runs in a control process: `function(application, task)` returns facts to add (None: nothing), or
MOVED when it has advanced the task itself. An `AgentStep` is named here and runs on the host that the facts name; its agent claims the
task and reports through the conductor. After each step the task is committed; a worker that dies loses its lease and the step is
repeated, so steps look before they make. A step that raises turns the flow round: undos run in reverse, beginning with the failed step.

The queue of a task is "control" or "host:NAME". Casts are hints that there is work; a lost one costs a poll.
"""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import event, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.errors import Conflict, Failure, Unavailable

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()
CONTROL = "control"
LEASE_SECONDS = 60.0
POLL_SECONDS = 1.0
UNDO_AGAIN_SECONDS = 5.0
AWAY_AGAIN_SECONDS, AWAY_SECONDS = 1.0, 60.0
"""How soon a step is done again that needs a service that is away, and for how long, before it has failed."""
MOVED = object()


class Superseded(Conflict):
    """The task was cancelled or taken over; stop working on it."""


class TaskColumns:
    """The columns of a service's task table."""
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    flow: Mapped[str]
    subject_id: Mapped[str] = mapped_column(index=True)
    queue: Mapped[str] = mapped_column(index=True)
    step: Mapped[int] = mapped_column(default=0)
    forward: Mapped[bool] = mapped_column(default=True)
    progress: Mapped[str] = mapped_column(default="ready", index=True)
    """ready, debt (an undo that waits for its host), done, failed, cancelled"""
    attempt: Mapped[int] = mapped_column(default=1)
    """Goes up when a claim is taken over; reports with an older one are refused."""
    lease_until: Mapped[float] = mapped_column(Instant, default=0.0)
    claimed_by: Mapped[str | None]
    facts: Mapped[Any] = mapped_column(Json, default=dict)
    error: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    updated_at: Mapped[float] = mapped_column(Instant, default=clock.now)


@dataclass(frozen=True, slots=True)
class Step:
    """A step in a control process."""
    function: Callable[[Application, Any], Any]
    undo: Callable[[Application, Any], None] | None = None

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True, slots=True)
class AgentStep:
    """A step on the host. `undo` runs in a control process, `undo_on_host` names an act of the agent that runs before it."""
    name: str
    undo: Callable[[Application, Any], None] | None = None
    undo_on_host: str | None = None
    skip_without_host: bool = False
    """The flow passes over the step when the facts name no host."""


@dataclass(frozen=True)
class Flow:
    """Work with several steps. `ended(db, task, failed)` runs in the transaction that ends it; `again(task)` says whether a failed and
    undone flow starts over (it may change the task's facts); one whose undo became a debt never does: its failure has been told."""
    name: str
    steps: list[Step | AgentStep]
    ended: Callable[[Session, Any, bool], None]
    again: Callable[[Any], bool] | None = None
    failing: Callable[[Session, Any], None] | None = None
    """Runs when the flow turns round."""
    patient: bool = False
    """A step in control that needs a service that is away waits for it for ever."""

    def undos(self) -> list[tuple[bool, str, Callable[[Application, Any], None] | None, int]]:
        """The way back, flat: (on the host?, name, control function, step it belongs to), last step first."""
        way: list[tuple[bool, str, Callable[[Application, Any], None] | None, int]] = []
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if isinstance(step, AgentStep) and step.undo_on_host: way.append((True, step.undo_on_host, None, index))
            if step.undo: way.append((False, step.undo.__name__, step.undo, index))
        return way

    def where(self, task: Any) -> str | None:
        """The queue of the task's next act; None when there is none left."""
        if task.forward:
            if task.step >= len(self.steps): return None
            on_host = isinstance(self.steps[task.step], AgentStep)
        else:
            way = self.undos()
            if task.step >= len(way): return None
            on_host = way[task.step][0]
        return f"host:{task.facts.get('host')}" if on_host else CONTROL


def add(db: Session, table: Any, flow: Flow, subject_id: str, facts: dict[str, Any]) -> Any:
    """Writes the task in the caller's transaction; somebody must be told after the commit (`Worker.begin` does both)."""
    task = table(id=new_id(), flow=flow.name, subject_id=subject_id, step=0, forward=True, progress="ready", attempt=1, facts=facts,
                 queue=CONTROL, lease_until=0.0, created_at=clock.now(), updated_at=clock.now())
    task.queue = flow.where(task) or CONTROL
    db.add(task)
    db.flush()
    return task


def claim(db: Session, table: Any, queue: str, worker: str, *, task_id: str | None = None) -> Any | None:
    """Takes the oldest free task of a queue (or that one); None if there is none. In the caller's write transaction."""
    now = clock.now()
    free = [table.queue == queue, table.progress.in_(("ready", "debt"))]
    if task_id: free += [table.id == task_id, or_(table.lease_until < now, table.claimed_by == worker)]
    else: free.append(table.lease_until < now)
    found = db.execute(select(table.id, table.claimed_by, table.lease_until).where(*free).order_by(table.created_at).limit(1)
                       .with_for_update(skip_locked=True)).first()
    if found is None: return None
    taken_over = found.claimed_by not in (None, worker)
    db.execute(update(table).where(table.id == found.id).values(
        claimed_by=worker, lease_until=now + LEASE_SECONDS, attempt=table.attempt + (1 if taken_over else 0), updated_at=now))
    return db.get(table, found.id, populate_existing=True)


def release(db: Session, table: Any, claimed_by: str, *, but: str = "") -> int:
    """Frees what a dead worker (or all of a host's but the living one) had claimed; the next claim counts as a take-over."""
    mine = table.claimed_by.startswith(claimed_by + "/", autoescape=True)
    changed = db.execute(update(table).where(mine, table.claimed_by != but, table.progress.in_(("ready", "debt"))).values(lease_until=0.0))
    return int(changed.rowcount)  # type: ignore[attr-defined]


def renew(db: Session, table: Any, worker: str, task_ids: list[str]) -> None:
    """Extends leases that the worker still holds."""
    if task_ids:
        db.execute(update(table).where(table.id.in_(task_ids), table.claimed_by == worker).values(lease_until=clock.now() + LEASE_SECONDS))


def held(db: Session, table: Any, task_id: str, attempt: int) -> Any:
    """The task, if this attempt still holds it. Raises Superseded. Locks the row where the database can."""
    task = db.get(table, task_id, populate_existing=True, with_for_update=True)
    if task is None or task.progress not in ("ready", "debt") or task.attempt != attempt: raise Superseded()
    return task


def advance(db: Session, flow: Flow, task: Any, facts: dict[str, Any] | None = None) -> None:
    """The current act is done: on to the next, or the end. In the caller's transaction, with a task from `held`."""
    task.facts = {name: fact for name, fact in {**task.facts, **(facts or {})}.items() if name != "away_since"}
    task.step += 1
    while task.forward and task.step < len(flow.steps) and _passed_over(flow.steps[task.step], task): task.step += 1
    _settle(db, flow, task)


def _passed_over(step: Step | AgentStep, task: Any) -> bool:
    return isinstance(step, AgentStep) and step.skip_without_host and not task.facts.get("host")


def turn(db: Session, flow: Flow, task: Any, error: str) -> None:
    """The current step failed: undo from here. In the caller's transaction. A failed undo stays where it is and is tried again later,
    as a new attempt."""
    task.error = error[:2000]
    task.updated_at = clock.now()
    if not task.forward:
        task.claimed_by, task.lease_until, task.attempt = None, clock.now() + UNDO_AGAIN_SECONDS, task.attempt + 1
        return
    failed_at = task.step
    task.forward = False
    task.step = next((i for i, act in enumerate(flow.undos()) if act[3] <= failed_at), len(flow.undos()))
    if flow.failing: flow.failing(db, task)
    _settle(db, flow, task)


def postpone(db: Session, flow: Flow, task: Any, error: str) -> None:
    """The current step needs a service that is away: it is done again soon, or has failed if that lasts. In the caller's transaction."""
    now = clock.now()
    since = task.facts.get("away_since") or now
    if not task.forward or (not flow.patient and now - since > AWAY_SECONDS): return turn(db, flow, task, error)
    task.facts = {**task.facts, "away_since": since}
    task.claimed_by, task.lease_until, task.updated_at = None, now + AWAY_AGAIN_SECONDS, now


def _settle(db: Session, flow: Flow, task: Any) -> None:
    task.updated_at = clock.now()
    queue = flow.where(task)
    if queue is None and not task.forward and task.progress == "ready" and flow.again is not None and flow.again(task):
        task.forward, task.step, task.attempt, task.error = True, 0, task.attempt + 1, None
        task.claimed_by, task.lease_until = None, 0.0
        queue = flow.where(task)
    if queue is None:
        task.progress = "done" if task.forward else "failed"
        task.claimed_by = None
        db.flush()
        flow.ended(db, task, not task.forward)
        return
    if queue != task.queue: task.queue, task.claimed_by, task.lease_until = queue, None, 0.0
    elif task.claimed_by is not None: task.lease_until = clock.now() + LEASE_SECONDS
    db.flush()


def cancel(db: Session, table: Any, subject_id: str, *, but: str = "") -> list[Any]:
    """Ends every other unfinished task of a subject where it stands; its worker learns it at its next report."""
    tasks = list(db.query(table).where(table.subject_id == subject_id, table.id != but, table.progress == "ready"))
    for task in tasks: task.progress, task.updated_at = "cancelled", clock.now()
    db.flush()
    return tasks


@dataclass
class Worker:
    """The threads of a control process that carry out control steps of one service's flows."""
    application: Application
    table: Any
    flows: dict[str, Flow]
    threads: int = 4
    hand_over: Callable[[str, Any], None] = lambda queue, task: None
    """Called after a commit that put a task into a host's queue: the cast."""
    name: str = ""
    """NODE/PROCESS; several control processes share one database, so each frees only what its own node had claimed."""
    _wake: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name or f"{self.application.state.get('node', CONTROL)}/{os.getpid()}"

    def start(self) -> None:
        """Frees what an earlier process of this node held and begins to work."""
        with self.application.database.write() as db: release(db, self.table, self.name.rpartition("/")[0])
        for index in range(self.threads):
            thread = threading.Thread(target=self._work, name=f"{self.application.service.name}-task-{index}", daemon=True)
            thread.start()
            self._running.append(thread)

    def begin(self, db: Session, flow: str, subject_id: str, facts: dict[str, Any]) -> Any:
        """Writes a task in the caller's transaction; when that commits, the worker is woken or the host gets its cast."""
        task = add(db, self.table, self.flows[flow], subject_id, facts)

        def tell(session: Session) -> None:
            if task.queue == CONTROL: self.wake()
            else: self.hand_over(task.queue, task)

        event.listen(db, "after_commit", tell, once=True)
        return task

    def wake(self) -> None:
        """There is work."""
        self._wake.release()

    def stop(self) -> None:
        """Ends after the steps that run now."""
        self._stop.set()
        for _ in self._running: self._wake.release()
        for thread in self._running: thread.join(30)

    def _work(self) -> None:
        stranded = False
        while not self._stop.is_set():
            try:
                if stranded: self._let_go()
                stranded = False
                if not self.once(): self._wake.acquire(timeout=POLL_SECONDS)
            except Exception:
                LOG.exception("task worker failed", service=self.application.service.name)
                stranded = True
                self._stop.wait(1.0)

    def _let_go(self) -> None:
        """Frees what this thread had claimed when the database went away; otherwise it would wait for its lease to end."""
        with self.application.database.write() as db:
            db.execute(update(self.table).where(self.table.claimed_by == self._claimant(), self.table.progress.in_(("ready", "debt")))
                       .values(lease_until=0.0))

    def _claimant(self) -> str:
        return f"{self.name}/{threading.get_ident()}"

    def once(self) -> bool:
        """Claims one task and carries it on as far as control can; False if there was none."""
        with self.application.database.read() as db:  # look without the write lock first
            if db.execute(select(self.table.id).where(self.table.queue == CONTROL, self.table.progress.in_(("ready", "debt")),
                                                      self.table.lease_until < clock.now()).limit(1)).first() is None: return False
        with self.application.database.write() as db:
            task = claim(db, self.table, CONTROL, self._claimant())
        while task is not None: task = self._act(task)
        return True

    def _act(self, task: Any) -> Any | None:
        flow = self.flows[task.flow]
        try:
            outcome = self._run(flow, task)
        except Superseded:
            return None
        except Unavailable as away:
            reason = away.message
            return self._commit(flow, task, lambda db, current: postpone(db, flow, current, reason))
        except Exception as failure:
            if not isinstance(failure, Failure): LOG.exception("task step failed", flow=task.flow, subject=task.subject_id, step=task.step)
            error = _sentence(failure)
            return self._commit(flow, task, lambda db, current: turn(db, flow, current, error))
        if outcome is MOVED: return None
        return self._commit(flow, task, lambda db, current: advance(db, flow, current, outcome))

    def _run(self, flow: Flow, task: Any) -> Any:
        if task.forward:
            step = flow.steps[task.step]
            assert isinstance(step, Step)
            return step.function(self.application, task)
        undo = flow.undos()[task.step][2]
        assert undo is not None
        undo(self.application, task)
        return None

    def _commit(self, flow: Flow, task: Any, write: Callable[[Session, Any], None]) -> Any | None:
        before = (task.forward, task.step)
        try:
            with self.application.database.write() as db:
                current = held(db, self.table, task.id, task.attempt)
                if (current.forward, current.step) != before: return None  # another has done this step meanwhile
                write(db, current)
                db.flush()
        except Superseded:
            return None
        if current.progress not in ("ready", "debt"): return None
        if current.queue != CONTROL:
            self.hand_over(current.queue, current)
            return None
        if current.claimed_by is None:
            if current.lease_until <= clock.now(): self.wake()
            return None
        return current if (current.forward, current.step) != before else None


def _sentence(failure: Exception) -> str:
    return failure.message if isinstance(failure, Failure) else f"{type(failure).__name__}: {failure}"
