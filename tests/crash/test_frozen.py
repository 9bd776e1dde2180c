"""All of control, or the agent, stands still for ten seconds in the middle of boots: no answer, no end of a connection. Then it goes on."""
from __future__ import annotations

import time

import pytest
from tests.crash.killing import delete, frozen, machines, network_of, patiently, request, session, settled
from tests.outside.clouds import Cloud

pytestmark = pytest.mark.slow
STILL_SECONDS = 10.0


@pytest.mark.parametrize("victim", ["control", "agent"])
def test_ten_seconds_of_silence(processes: Cloud, victim: str) -> None:
    demo, admin = session(processes), session(processes, "admin")
    net = patiently(lambda: network_of(demo))
    names = [f"frozen-{victim}-{number}" for number in range(3)]
    for name in names: demo.ask("compute", "POST", "/v2.1/servers", request(demo, name, net))
    with frozen(processes.state, victim): time.sleep(STILL_SECONDS)
    for name in names:
        server = settled(demo, name)
        assert server and server["status"] == "ACTIVE" and len(machines(processes.state, server["id"])) == 1, server
        delete(demo, admin, processes.state, server)
