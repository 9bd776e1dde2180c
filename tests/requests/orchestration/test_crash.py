"""The process dies at points at which a stack's work is written down, before the write and after it: the stack still comes to its end,
and the cloud holds what it says and nothing else."""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.requests.orchestration.conftest import SECONDS, VERSION, Stacks, thing

from pilvi.core.http.app import Application
from pilvi.orchestration.resources.tables import Stack, StackTask
from pilvi.orchestration.stack import operate
from pilvi.orchestration.stack.engine import StackEngine
from pilvi.orchestration.stack.plans import Plans
from pilvi.orchestration.stack.step import Step


class Killed(BaseException):
    """kill -9: nothing of the process catches it."""


class Mortal:
    """An engine whose turns are made one after the other by the test, and which dies at the `at`-th write, before or after it."""

    def __init__(self, application: Application) -> None:
        self.application, self.at, self.after, self.writes, self.deaths = application, 0, False, 0, 0
        self.save: Callable[..., bool] = Step.save

    def write(self, step: Step, write: Any, *, starting: bool = False) -> bool:
        """Instead of Step.save: the only place where a turn is written down."""
        self.writes += 1
        if self.writes == self.at and not self.after: raise Killed()
        done = self.save(step, write, starting=starting)
        if self.writes == self.at: raise Killed()
        return done

    def run(self) -> None:
        """Turns until every stack rests; a new process after each death."""
        engine = StackEngine(self.application)
        end = time.monotonic() + SECONDS
        while self._moving():
            assert time.monotonic() < end
            for task in engine.claim(1):
                try: operate.carry(self.application, task)
                except Killed:
                    self.deaths += 1
                    self.application.state["plans"] = Plans()
                    with self.application.database.write() as db: db.execute(update(StackTask).values(lease_until=0.0))

    def _moving(self) -> bool:
        with self.application.database.read() as db: return db.scalar(select(Stack.id).where(Stack.busy.is_not(None)).limit(1)) is not None


@pytest.fixture
def mortal(stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortal]:
    application = stacks.cloud.applications["orchestration"]
    application.state["engine"].stop()
    found = Mortal(application)
    # A reason to patch: death must come at the write itself, whoever writes.
    monkeypatch.setattr(Step, "save", lambda step, write, *, starting=False: found.write(step, write, starting=starting))
    yield found
    monkeypatch.undo()
    application.state["engine"] = StackEngine(application)
    application.state["engine"].start()


NESTED = json.dumps({"heat_template_version": VERSION,
                     "resources": {"inner": {"type": "OS::Neutron::Net", "properties": {"name": "inner"}}}})
FIRST = {"a": thing("1"), "net": {"type": "OS::Neutron::Net", "properties": {"name": "one"}, "depends_on": "a"}, "n": {"type": "n.yaml"}}
SECOND = {"a": thing("2", update_replace_value="new"),
          "net": {"type": "OS::Neutron::Net", "properties": {"name": "two"}, "depends_on": "a"},
          "more": {"type": "OS::Neutron::Net", "properties": {"name": "more"}}}


def _lives(stacks: Stacks, mortal: Mortal, name: str) -> None:
    """Create, update and delete, each to its end."""
    stacks.make(name, FIRST, files={"n.yaml": NESTED}, wait="")
    mortal.run()
    assert stacks.show(name)["stack_status"] == "CREATE_COMPLETE", stacks.show(name)["stack_status_reason"]
    assert stacks.networks() == ["inner", "one"]
    stacks.change(name, SECOND, wait="")
    mortal.run()
    assert stacks.show(name)["stack_status"] == "UPDATE_COMPLETE", stacks.show(name)["stack_status_reason"]
    assert stacks.networks() == ["more", "two"] and set(stacks.resources(name)) == {"a", "net", "more"}
    path = stacks.path(name)
    assert stacks.ask("DELETE", path).status == 204
    mortal.run()
    assert stacks.ask("GET", path).body["stack"]["stack_status"] == "DELETE_COMPLETE" and stacks.networks() == []


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_at_writes(stacks: Stacks, mortal: Mortal, after: bool) -> None:
    _lives(stacks, mortal, "once")
    points = mortal.writes
    assert points > 15
    for at in range(2 if after else 1, points + 1, 3):
        mortal.at, mortal.after, mortal.writes, mortal.deaths = at, after, 0, 0
        _lives(stacks, mortal, f"dies-{at}")
        assert mortal.deaths == 1


def test_a_delete_finds_what_a_dying_create_left(stacks: Stacks, mortal: Mortal) -> None:
    mortal.at, mortal.after = 2, False  # the network is there, its id was not saved
    stacks.make("orphan", {"net": {"type": "OS::Neutron::Net", "properties": {"name": "orphan"}}}, wait="")
    engine = StackEngine(mortal.application)
    with pytest.raises(Killed): operate.carry(mortal.application, engine.claim(1)[0])
    assert stacks.networks() == ["orphan"]
    path = stacks.path("orphan")
    assert stacks.ask("DELETE", path).status == 204
    with mortal.application.database.write() as db: db.execute(update(StackTask).values(lease_until=0.0))
    mortal.run()
    assert stacks.networks() == []
