"""Durable tasks: whatever crashes, in any order, ends in all effects or in none; stale reports and repeats change nothing."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase
from tests.postgres_server import new_database

from pilvi.core import clock, task
from pilvi.core.db.session import Database
from pilvi.core.errors import Conflict, Unavailable
from pilvi.core.task import CONTROL, MOVED, AgentStep, Flow, Step, Superseded, TaskColumns, Worker

HOST = "host:h"


class Base(DeclarativeBase):
    """Tables of this test."""


class Job(TaskColumns, Base):
    __tablename__ = "task_jobs"


class Boom(Conflict):
    """Boom."""


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite": url = f"sqlite:///{tmp_path_factory.mktemp('task')}/db.sqlite"
    else: url = new_database(request.getfixturevalue("postgres_url"), f"task_{uuid4().hex}")
    database = Database(url)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


class Effects:
    """What the flow's steps have done, and how the flow ended."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.ended: list[bool] = []
        self.flow = Flow("make", [
            Step(self.act("choose", {"host": "h"}), undo=self.undo("choose")), AgentStep("fetch"),
            AgentStep("create", undo_on_host="create"),
            Step(self.act("tell"), undo=self.undo("tell")), AgentStep("start", undo=self.undo("start"), undo_on_host="start")],
            lambda db, job, failed: self.ended.append(failed))

    def act(self, name: str, facts: dict[str, Any] | None = None) -> Callable[[Any, Any], Any]:
        def step(application: Any, job: Any) -> dict[str, Any] | None:
            self.done.add(name)
            return facts
        step.__name__ = name
        return step

    def undo(self, name: str) -> Callable[[Any, Any], None]:
        return lambda application, job: self.done.discard(name)


OUTCOMES = st.lists(st.sampled_from(["ok", "ok", "ok", "die before", "die after", "raise", "stale", "repeat"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(OUTCOMES)
def test_random_crashes_end_in_all_or_nothing(database: Database, outcomes: list[str]) -> None:
    effects, script = Effects(), iter(outcomes)
    with database.write() as db:
        db.query(Job).delete()
        task.add(db, Job, effects.flow, "thing", {})
    for _ in range(200):
        with database.read() as db: job = db.query(Job).one()
        if job.progress != "ready": break
        _turn(database, effects, job.queue, next(script, "ok"))
    else:
        raise AssertionError("the task never ended")
    assert effects.ended == [job.progress == "failed"]
    assert effects.done == (set() if job.progress == "failed" else {"choose", "fetch", "create", "tell", "start"})


def _turn(database: Database, effects: Effects, queue: str, outcome: str) -> None:
    """A worker claims the task and then does as the script says."""
    worker = f"{queue}/{uuid4().hex}"  # a new process each time: whatever the last one held is free
    with database.write() as db:
        task.release(db, Job, queue)
        db.query(Job).where(Job.progress == "ready").update({"lease_until": 0.0})
        job = task.claim(db, Job, queue, worker)
    assert job is not None
    flow, undos = effects.flow, effects.flow.undos()
    if outcome == "die before": return
    if outcome == "raise": return _settle(database, job, lambda db, held: task.turn(db, flow, held, "boom"))
    name = flow.steps[job.step].name if job.forward else flow.steps[undos[job.step][3]].name
    on_host = isinstance(flow.steps[job.step], AgentStep) if job.forward else undos[job.step][0]
    assert on_host == (queue == HOST)
    if job.forward: effects.done.add(name)
    elif not on_host or not flow.steps[undos[job.step][3]].undo: effects.done.discard(name)
    if not job.forward: effects.done.discard("fetch")  # what it leaves in a cache is no effect
    if outcome == "die after": return None
    if outcome == "stale": return _stale(database, flow, job)
    facts = {"host": "h"} if name == "choose" else None
    _settle(database, job, lambda db, held: task.advance(db, flow, held, facts))
    if outcome == "repeat": _repeat(database, flow, job)
    return None


def _settle(database: Database, job: Any, write: Callable[[Any, Any], None]) -> None:
    with database.write() as db: write(db, task.held(db, Job, job.id, job.attempt))


def _stale(database: Database, flow: Flow, job: Any) -> None:
    """Another worker has taken over; the first one's report is refused."""
    with database.write() as db:
        db.query(Job).update({"lease_until": 0.0})
        taken = task.claim(db, Job, job.queue, "another/1")
    assert taken.attempt == job.attempt + 1
    with pytest.raises(Superseded): _settle(database, job, lambda db, held: task.advance(db, flow, held))


def _repeat(database: Database, flow: Flow, job: Any) -> None:
    """A claim of what is no longer in that queue finds nothing."""
    with database.read() as db: now = db.query(Job).one()
    with database.write() as db:
        if now.queue != job.queue: assert task.claim(db, Job, job.queue, "another/1", task_id=job.id) is None


def test_many_workers_claim_each_task_once(database: Database) -> None:
    flow = Effects().flow
    with database.write() as db:
        db.query(Job).delete()
        for index in range(60): task.add(db, Job, flow, str(index), {})

    def work(name: int) -> list[str]:
        mine = []
        while True:
            with database.write() as db: job = task.claim(db, Job, CONTROL, f"w{name}/1")
            if job is None: return mine
            mine.append(job.subject_id)

    with ThreadPoolExecutor(6) as pool: claimed = [subject for mine in pool.map(work, range(6)) for subject in mine]
    assert sorted(claimed) == sorted(str(index) for index in range(60))


def test_a_claimed_task_stays_its_workers_while_the_lease_lives(database: Database) -> None:
    with database.write() as db:
        db.query(Job).delete()
        job = task.add(db, Job, Effects().flow, "s", {})
    with database.write() as db: first = task.claim(db, Job, CONTROL, "a/1", task_id=job.id)
    assert first.attempt == 1
    with database.write() as db:
        assert task.claim(db, Job, CONTROL, "b/1", task_id=job.id) is None
        again = task.claim(db, Job, CONTROL, "a/1", task_id=job.id)
        assert again is not None and again.attempt == 1, "its own worker may ask again"
        task.renew(db, Job, "b/1", [job.id])
        db.query(Job).update({"lease_until": clock.now() - 1})
    with database.write() as db: assert task.claim(db, Job, CONTROL, "b/1").attempt == 2


def test_what_is_cancelled_is_refused_and_stays_where_it_is(database: Database) -> None:
    effects = Effects()
    with database.write() as db:
        db.query(Job).delete()
        boot, delete = task.add(db, Job, effects.flow, "s", {}), task.add(db, Job, effects.flow, "s", {})
    with database.write() as db: claimed = task.claim(db, Job, CONTROL, "a/1", task_id=boot.id)
    with database.write() as db: assert [each.id for each in task.cancel(db, Job, "s", but=delete.id)] == [boot.id]
    with pytest.raises(Superseded): _settle(database, claimed, lambda db, held: task.advance(db, effects.flow, held, {"host": "h"}))
    with database.write() as db: assert task.claim(db, Job, CONTROL, "b/1").id == delete.id
    assert effects.ended == []


def test_a_failed_flow_may_begin_again(database: Database) -> None:
    tries = []

    def fail(application: Any, job: Any) -> None:
        tries.append(job.attempt)
        raise Boom()

    ended: list[bool] = []
    flow = Flow("make", [Step(fail)], lambda db, job, failed: ended.append(failed), again=lambda job: len(tries) < 3)
    _work(database, flow, ended)
    assert tries == [1, 2, 3] and ended == [True]


def test_a_worker_carries_steps_out_and_hands_over(database: Database) -> None:
    effects, handed = Effects(), list[str]()
    with database.write() as db:
        db.query(Job).delete()
        task.add(db, Job, effects.flow, "s", {})
    worker = _worker(database, effects.flow)
    worker.hand_over = lambda queue, job: handed.append(queue)
    assert worker.once() and not worker.once()
    assert handed == [HOST] and effects.done == {"choose"}


def test_a_step_that_moved_the_task_itself_is_left_alone(database: Database) -> None:
    moved: list[str] = []

    def move(application: Any, job: Any) -> object:
        with database.write() as db: task.advance(db, flow, task.held(db, Job, job.id, job.attempt), {"host": "h"})
        moved.append(job.id)
        return MOVED

    flow = Flow("make", [Step(move), AgentStep("fetch")], lambda db, job, failed: None)
    with database.write() as db:
        db.query(Job).delete()
        task.add(db, Job, flow, "s", {})
    assert _worker(database, flow).once() and len(moved) == 1
    with database.read() as db: assert db.execute(select(Job.queue, Job.step)).one() == (HOST, 1)


def test_a_step_for_a_host_is_passed_over_without_one(database: Database) -> None:
    ended: list[bool] = []
    flow = Flow("drop", [Step(lambda application, job: None), AgentStep("destroy", skip_without_host=True)],
                lambda db, job, failed: ended.append(failed))
    _work(database, flow, ended)
    assert ended == [False]


def test_a_new_process_frees_what_its_own_node_held_and_nothing_of_other_nodes(database: Database) -> None:
    flow = Flow("still", [AgentStep("wait")], lambda db, job, failed: None)
    with database.write() as db:
        db.query(Job).delete()
        for claimed_by in ("one/7/1", "two/7/1"):
            task.add(db, Job, flow, claimed_by, {"host": "h"}).claimed_by = claimed_by
        for job in db.query(Job): job.lease_until = clock.now() + task.LEASE_SECONDS
    worker = _worker(database, flow)
    worker.name = "one/8"
    worker.start()
    worker.stop()
    with database.read() as db: free = [job.subject_id for job in db.query(Job) if job.lease_until < clock.now()]
    assert free == ["one/7/1"]


def test_what_could_not_be_committed_is_tried_again_before_its_lease_ends(database: Database) -> None:
    tries, ended = list[bool](), list[bool]()

    def away_at_first(db: Any, job: Any, failed: bool) -> None:
        tries.append(failed)
        if len(tries) == 1: raise Unavailable(reason="the database is away")
        ended.append(failed)

    began = time.monotonic()
    flow = Flow("unlucky", [Step(lambda application, job: None)], away_at_first)
    _work(database, flow, ended)
    assert tries == [False, False] and time.monotonic() - began < task.LEASE_SECONDS / 2


def _worker(database: Database, flow: Flow) -> Worker:
    application: Any = SimpleNamespace(database=database, service=SimpleNamespace(name="toy"), state={})
    return Worker(application, Job, {flow.name: flow}, threads=2)


def _work(database: Database, flow: Flow, ended: list[bool]) -> None:
    """Runs the flow with a worker's threads until it has ended."""
    with database.write() as db: db.query(Job).delete()
    worker = _worker(database, flow)
    worker.start()
    try:
        with database.write() as db: worker.begin(db, flow.name, "s", {})
        patience = threading.Event()
        until = time.monotonic() + 60
        while not ended and time.monotonic() < until: patience.wait(0.02)
    finally: worker.stop()
