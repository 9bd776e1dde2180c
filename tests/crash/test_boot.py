"""kill -9 of control or agent at each of the 29 steps of a boot: it ends, without a hand, in ACTIVE, in a clean ERROR or (steps 1 to 6) in
no server at all; and a delete leaves nothing."""
from __future__ import annotations

import pytest
from tests.crash.killing import crash_at, delete, machines, network_of, patiently, request, session, settled, until
from tests.outside.clouds import Cloud

from pilvi.core.errors import Failure
from pilvi.run import supervisor
from pilvi.run.furnish import Cloud as Session
from pilvi.run.settings import load

pytestmark = pytest.mark.slow
STEPS = [f"boot.{number:02}" for number in range(1, 30)]


@pytest.mark.parametrize("victim", ["control", "agent"])
@pytest.mark.parametrize("step", STEPS)
def test_crash(processes: Cloud, step: str, victim: str) -> None:
    demo, admin, state, name = session(processes), session(processes, "admin"), processes.state, f"{step}-{victim}"
    body = request(demo, name, patiently(lambda: network_of(demo)))
    mark = crash_at(state, step, victim)
    try: Session(load(state), "demo", "demo").ask("compute", "POST", "/v2.1/servers", body)  # a new login: steps 1 and 2 are its
    except Failure as failure:
        assert failure.status == 503, failure
    until(lambda: not mark.exists(), f"{victim} was killed at {step}")
    server = settled(demo, name)
    if server is None:
        assert step in STEPS[:6] or victim == "control", f"no server after a crash at {step}"
        return
    assert server["status"] in ("ACTIVE", "ERROR"), server
    if server["status"] == "ERROR": assert server["fault"]["message"]
    else: assert len(machines(state, server["id"])) == 1
    delete(demo, admin, state, server)


def test_both_processes_run_again(processes: Cloud) -> None:
    assert {s.name for s in supervisor.status(processes.state) if s.state == "ready"} >= {"control", "agent"}
