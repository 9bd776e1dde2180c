"""An agent and a conductor over the memory bus: errands are carried out, failures undone, an undo that fails is let go and tried again."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import String, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pilvi.core import errand, task
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.conductor import Door, agent_of
from pilvi.core.db.session import Database
from pilvi.core.errand import Errand, Runner, Withdrawn
from pilvi.core.errors import Conflict
from pilvi.core.task import AgentStep, Flow, Step, TaskColumns, Worker


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    outcome: Mapped[str | None]


class Job(TaskColumns, Base):
    __tablename__ = "jobs"


class Refused(Conflict):
    """It does not want to."""


def ended(db: Any, job: Any, failed: bool) -> None:
    outcome = f"failed: {job.error}" if failed else f"done {job.facts.get('made')}"
    db.execute(update(Thing).where(Thing.id == job.subject_id).values(outcome=outcome))


class Show:
    """A service with one flow (a step in control, two on the host) and the agent's acts as a test wants them."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder}/db.sqlite")
        Base.metadata.create_all(self.database.engine)
        self.bus, self.log = MemoryBus(), list[str]()
        self.application: Any = SimpleNamespace(database=self.database, service=SimpleNamespace(name="toy"), state={})
        flow = Flow("make", [Step(self.place, undo=self.unplace), AgentStep("dig", undo_on_host="fill"),
                             AgentStep("build", undo_on_host="raze")], ended)
        self.worker = Worker(self.application, Job, {"make": flow}, threads=1, hand_over=self.cast)
        self.door = Door(Job, {"make": flow}, lambda application, db, job: {"described": {"id": job.subject_id}, "grant": "g"},
                         wake=lambda application: self.worker.wake())
        self.bus.serve("toy.conductor", {name: partial(handler, self.application) for name, handler in self.door.handlers().items()})
        self.casts = True
        self.acts: dict[str, Callable[[Errand], dict[str, Any] | None]] = {
            name: partial(self.note, name) for name in ("dig", "build", "fill", "raze")}
        self.runner = Runner(self.bus, "toy", ["h1"], {"make": self.acts}, folder / "locks", threads=2)

    def place(self, application: Any, job: Any) -> dict[str, Any]:
        self.log.append("place")
        return {"host": "h1"}

    def unplace(self, application: Any, job: Any) -> None: self.log.append("unplace")

    def note(self, name: str, errand: Errand) -> dict[str, Any] | None:
        self.log.append(name)
        return {"made": errand.described["id"]} if name == "build" else None

    def cast(self, queue: str, job: Any) -> None:
        host = queue.removeprefix("host:")
        if self.casts: self.bus.cast(f"toy.host.{host}", "run", {"host": host, "task_id": job.id})

    def run(self, id: str = "t1", seconds: float = 40.0) -> str:
        self.worker.start()
        self.runner.start()
        self.begin(id)
        return self.outcome(id, seconds)

    def begin(self, id: str) -> None:
        with self.database.write() as db:
            db.add(Thing(id=id))
            self.worker.begin(db, "make", id, {})

    def outcome(self, id: str, seconds: float = 40.0) -> str:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with self.database.read() as db: outcome = db.execute(select(Thing.outcome).where(Thing.id == id)).scalar()
            if outcome: return str(outcome)
            time.sleep(0.01)
        raise AssertionError(f"nothing came of it: {self.log}")

    def close(self) -> None:
        self.runner.stop()
        self.worker.stop()
        self.bus.close()
        self.database.close()


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    made = Show(tmp_path)
    yield made
    made.close()


def refuse(errand: Errand) -> None: raise Refused()


def test_steps_run_in_order_in_their_places(show: Show) -> None:
    assert show.run() == "done t1" and show.log == ["place", "dig", "build"]


def test_a_task_begun_wakes_its_worker_only_when_it_is_written(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (task, errand): monkeypatch.setattr(module, "POLL_SECONDS", 600.0)
    show.worker.start()
    show.runner.start()
    with pytest.raises(RuntimeError), show.database.write() as db:
        show.worker.begin(db, "make", "t0", {})
        raise RuntimeError
    show.begin("t1")
    assert show.outcome("t1") == "done t1" and show.log == ["place", "dig", "build"]


def test_a_lost_cast_costs_a_poll(show: Show) -> None:
    show.casts = False
    assert show.run() == "done t1"


def test_a_failure_turns_round_and_is_undone_from_where_it_failed(show: Show) -> None:
    show.acts["build"] = refuse
    assert show.run() == "failed: It does not want to." and show.log == ["place", "dig", "raze", "fill", "unplace"]


def test_an_undo_that_fails_is_let_go_and_tried_again_as_a_new_attempt(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "UNDO_AGAIN_SECONDS", 0.1)  # five seconds are long in a test
    attempts: list[int] = []

    def stubborn(errand: Errand) -> None:
        attempts.append(errand.attempt)
        if len(attempts) < 3: raise Refused()

    show.acts |= {"build": refuse, "raze": stubborn}
    assert show.run() == "failed: It does not want to."
    assert attempts == [1, 2, 3], "each told to the conductor, none answered out of the bus's memory"
    assert show.log == ["place", "dig", "fill", "unplace"]


def test_an_agent_that_died_is_followed_by_another(show: Show) -> None:
    died = threading.Event()

    def die(errand: Errand) -> None:
        show.log.append("dig")
        died.set()
        raise Withdrawn  # it never reports

    show.acts["dig"] = die
    show.worker.start()
    show.runner.start()
    show.begin("t1")
    assert died.wait(30)
    show.runner.stop()
    show.acts["dig"] = partial(show.note, "dig")
    successor = Runner(show.bus, "toy", ["h1"], {"make": show.acts}, show.runner.locks)
    successor.start()
    try: assert show.outcome("t1") == "done t1" and show.log == ["place", "dig", "dig", "build"]
    finally: successor.stop()


def test_reports_of_an_older_attempt_are_refused(show: Show) -> None:
    show.worker.start()
    show.begin("t1")
    def ask(method: str, **args: Any) -> dict[str, Any]: return show.bus.call("toy.conductor", method, args, deadline_seconds=10)
    while not (queued := ask("queued", hosts=["h1"])["tasks"]): time.sleep(0.01)
    first = ask("claim", host="h1", worker="h1/1", task_id=queued[0][1])["task"]
    assert ask("claim", host="h1", worker="h1/2", task_id=queued[0][1])["task"] is None, "it is taken"
    ask("hello", host="h1", worker="h1/2")
    second = ask("claim", host="h1", worker="h1/2", task_id=queued[0][1])["task"]
    assert (first["attempt"], second["attempt"], second["act"]) == (1, 2, "dig")
    show.runner.worker = "h1/1"
    with pytest.raises(Withdrawn): show.runner.ask("report", {"task_id": first["id"], "attempt": 1, "act": "dig", "facts": {}})
    answer = ask("report", task_id=first["id"], attempt=2, act="dig", facts={"depth": 3})
    assert answer["act"] == "build" and answer["facts"]["depth"] == 3
    again = ask("report", task_id=first["id"], attempt=2, act="dig", facts={"depth": 9})
    assert again["act"] == "build" and again["facts"]["depth"] == 3, "a repeated report changes nothing"


def test_a_host_is_told_of_its_own_tasks_only(show: Show) -> None:
    with show.database.write() as db:
        for number in range(30): db.add(Job(flow="make", subject_id=f"s{number}", queue=f"host:h{number % 3}", step=1,
                                            facts={"host": f"h{number % 3}"}))
    def queued(*hosts: str) -> list[Any]: return list(show.bus.call("toy.conductor", "queued", {"hosts": list(hosts)},
                                                                    deadline_seconds=10)["tasks"])
    assert {host for host, _ in queued("h1")} == {"h1"} and len(queued("h1")) == 10 and len(queued("h1", "h2")) == 20
    many = [f"h{number}" for number in range(2, 700)]
    assert {host for host, _ in queued(*many)} == {"h2"}
    # one process that simulates many hosts is addressed by the name of its first
    assert agent_of(show.application, "h699") == "h2" and agent_of(show.application, "elsewhere") == "elsewhere"
