"""The engine: a thread that hands out due tasks, and a few that carry them.

Any number of control processes may do this on one database: a task is taken by writing its lease. A process that dies loses its leases;
one that starts again frees what an earlier one of the same node held. Nothing of a stack begins while a task of an earlier traversal runs.
"""
from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import func, select, update

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.errors import Unavailable
from pilvi.orchestration.resources.tables import Stack, StackTask
from pilvi.orchestration.stack import converge, operate

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()
THREADS, AT_ONCE = 4, 16
LEASE_SECONDS, RENEW_SECONDS, POLL_SECONDS = 60.0, 20.0, 1.0
DATABASE_AWAY_SECONDS = 2.0


class StackEngine:
    """The engine of one process."""

    def __init__(self, application: Application) -> None:
        self.application, self.database = application, application.database
        self.node = str(application.state.get("node", "control"))
        self.name = f"{self.node}/{os.getpid()}"
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="orchestration-task")
        self._due = threading.Event()
        self._stop = threading.Event()
        self._room = threading.Semaphore(AT_ONCE)
        self._held: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="orchestration-engine", daemon=True)
        self._renewed = clock.monotonic()

    def start(self) -> None:
        """Frees what an earlier process of this node held and begins to work."""
        with self.database.write() as db:
            db.execute(update(StackTask).where(StackTask.claimed_by.startswith(self.node + "/", autoescape=True)).values(lease_until=0.0))
        self.database.written.append(self.wake)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._due.set()

    def stop(self) -> None:
        """Ends after the turns that run now."""
        self._stop.set()
        self._due.set()
        self._thread.join(30)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self.wake in self.database.written: self.database.written.remove(self.wake)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._due.clear()
                self._renew()
                if not self._hand_out(): self._due.wait(self._pause())
            except Unavailable: self._stop.wait(DATABASE_AWAY_SECONDS)
            except Exception:
                LOG.exception("engine failed")
                self._stop.wait(DATABASE_AWAY_SECONDS)

    def _pause(self) -> float:
        """Seconds until something is due."""
        now = clock.now()
        with self.database.read() as db:
            first = db.scalar(select(func.min(StackTask.due_at)).where(StackTask.waiting == 0, StackTask.lease_until < now))
        return POLL_SECONDS if first is None else min(max(first - now, 0.02), POLL_SECONDS)

    def _hand_out(self) -> bool:
        """Claims due tasks and gives them to the threads; False if there are none or no room."""
        room = 0
        while room < AT_ONCE and self._room.acquire(blocking=False): room += 1
        tasks = self.claim(room) if room else []
        for _ in range(room - len(tasks)): self._room.release()
        for task in tasks:
            self._held.add(task.id)
            self._pool.submit(self._carry, task)
        return bool(tasks)

    def claim(self, most: int) -> list[StackTask]:
        """Takes up to so many due tasks."""
        now = clock.now()
        running = select(StackTask.stack_id).where(StackTask.stale, StackTask.lease_until > now)
        due = (select(StackTask.id).where(StackTask.due_at <= now, StackTask.lease_until < now, StackTask.waiting == 0,
                                          StackTask.stack_id.not_in(running)).order_by(StackTask.due_at).limit(most))
        with self.database.read() as db:  # look without the write lock first
            if db.execute(due.limit(1)).first() is None: return []
        with self.database.write() as db:
            ids = list(db.scalars(due.with_for_update(skip_locked=True)))
            if not ids: return []
            db.execute(update(StackTask).where(StackTask.id.in_(ids), StackTask.lease_until < now).values(
                claimed_by=f"{self.name}/{new_id()}", lease_until=now + LEASE_SECONDS, attempt=StackTask.attempt + 1))
            return list(db.scalars(select(StackTask).where(StackTask.id.in_(ids))))

    def _carry(self, task: StackTask) -> None:
        try: operate.carry(self.application, task)
        except Unavailable: self._let_go(task)
        except Exception:
            LOG.exception("task failed", stack=task.stack_id, kind=task.kind, name=task.name)
            self._let_go(task)
        finally:
            self._held.discard(task.id)
            self._room.release()
            self._due.set()

    def _let_go(self, task: StackTask) -> None:
        """What could not be saved is done again a little later."""
        try:
            with self.database.write() as db:
                db.execute(update(StackTask).where(StackTask.id == task.id, StackTask.attempt == task.attempt)
                           .values(lease_until=0.0, due_at=clock.now() + DATABASE_AWAY_SECONDS))
        except Exception: LOG.exception("task not let go", stack=task.stack_id)

    def _renew(self) -> None:
        held = list(self._held)
        if not held or clock.monotonic() - self._renewed < RENEW_SECONDS: return
        self._renewed = clock.monotonic()
        with self.database.write() as db:
            db.execute(update(StackTask).where(StackTask.id.in_(held)).values(lease_until=clock.now() + LEASE_SECONDS))


def end_overdue(application: Application) -> None:
    """Stacks whose time is over."""
    with application.database.read() as db:
        late = db.execute(select(Stack.id, Stack.traversal, Stack.busy).where(Stack.deadline < clock.now(), Stack.busy.is_not(None))).all()
    for stack_id, traversal, action in late:
        with application.database.write() as db:
            converge.failed(db, application, stack_id, traversal, f"{(action or '').capitalize()} timed out", abandon=True)
