"""The flows as tables: what is made by a step is undone by it, and each act of a host is one that agents know."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pilvi.compute.agent.main import ACTS
from pilvi.compute.agent.main import FLOWS as AGENT_FLOWS
from pilvi.compute.server.boot import BOOT, DISPATCHED, again
from pilvi.compute.server.delete import DELETE
from pilvi.compute.server.flows import FLOWS
from pilvi.core.task import CONTROL, AgentStep


def task(step: int = 0, *, forward: bool = True, **facts: Any) -> Any:
    return SimpleNamespace(step=step, forward=forward, facts=facts, error="it broke")


def test_agents_know_each_act() -> None:
    named = {step.name for flow in FLOWS.values() for step in flow.steps if isinstance(step, AgentStep)}
    undone = {step.undo_on_host for flow in FLOWS.values() for step in flow.steps if isinstance(step, AgentStep) and step.undo_on_host}
    assert named | undone <= set(ACTS) and set(FLOWS) == set(AGENT_FLOWS)


@pytest.mark.parametrize("failed_at", range(len(BOOT.steps)))
def test_a_boot_undoes_what_it_has_made_last_things_first(failed_at: int) -> None:
    way = [name for _, name, _, step in BOOT.undos() if step <= failed_at]
    assert way == ["destroy_machine", "unmake_volumes", "drop_ports", "release_host"][-(1, 1, 2, 3, 4)[failed_at]:]


def test_the_machine_is_the_step_from_which_a_boot_does_not_move() -> None:
    step = BOOT.steps[DISPATCHED]
    assert isinstance(step, AgentStep) and step.name == "create_machine" and len(BOOT.steps) - 1 == DISPATCHED


def test_a_delete_drops_the_same_things_and_never_gives_up() -> None:
    assert [step.name for step in DELETE.steps[1:]] == ["destroy_machine", "drop_ports", "drop_volumes", "release_host"] and DELETE.patient


def test_where_a_task_waits() -> None:
    assert BOOT.where(task(0)) == CONTROL and BOOT.where(task(1, host="h1")) == "host:h1" and BOOT.where(task(5, host="h1")) is None
    assert BOOT.where(task(0, forward=False, host="h1")) == "host:h1" and BOOT.where(task(1, forward=False, host="h1")) == CONTROL


def test_another_host_is_tried_until_enough_were() -> None:
    work = task(host="h1", tries=3)
    assert again(work) and work.facts == {"tries": 3, "excluded": ["h1"], "failure": "it broke"}
    work.facts["host"] = "h2"
    assert again(work) and work.facts["excluded"] == ["h1", "h2"]
    work.facts["host"] = "h3"
    assert not again(work)
    assert not again(task(tries=3)) and not again(task(host="h1", tries=3, final=True))
