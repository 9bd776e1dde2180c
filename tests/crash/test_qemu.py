"""kill -9 while real guests boot over a real network: the same promises, and nothing is left on the machine either."""
from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.crash.killing import crash_at, kill, left, network_of, patiently, request, session, settled, until
from tests.outside.clouds import Cloud, free_port
from tests.outside.test_walk import machine

from pilvi.core.errors import Failure
from pilvi.run.furnish import Cloud as Session
from pilvi.run.settings import load

pytestmark = [pytest.mark.real, pytest.mark.slow]
SECONDS = 240.0
CRASHES = [("boot.11", "control")] + [(step, who) for step in ("boot.14", "boot.22", "boot.25", "boot.29") for who in ("control", "agent")]
"""At step 11 control is at work, which may not kill the agent: it is not root."""


@pytest.fixture(scope="module")
def real(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    """A cloud of real guests whose processes may be killed at any step."""
    made = cloud_at("crash-qemu")
    done = made.pilvi("up", "--empty", "--listen", f"127.0.0.1:{free_port()}", check=False, timeout=1500, PILVI_CRASH_POINTS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.pilvi("down")


def guests(server: dict[str, Any]) -> list[str]:
    """The pids of the server's QEMU processes."""
    return subprocess.run(["pgrep", "-f", f"qemu-system.*-uuid {server['id']}"], capture_output=True, text=True, check=False).stdout.split()


@pytest.mark.parametrize(("step", "victim"), CRASHES)
def test_crash(real: Cloud, step: str, victim: str) -> None:
    demo, admin, name = session(real), session(real, "admin"), f"{step}-{victim}"
    body = request(demo, name, patiently(lambda: network_of(demo)))
    before = machine(real.state)
    mark = crash_at(real.state, step, victim)
    try: Session(load(real.state), "demo", "demo").ask("compute", "POST", "/v2.1/servers", body)
    except Failure as failure:
        assert failure.status == 503, failure
    until(lambda: not mark.exists(), f"{victim} was killed at {step}", SECONDS)
    server = settled(demo, name, SECONDS)
    assert server and server["status"] == "ACTIVE", server and server.get("fault")
    assert len(guests(server)) == 1
    patiently(lambda: demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}"))
    until(lambda: not left(admin, server["id"]), lambda: f"nothing is left: {left(admin, server['id'])}", SECONDS)
    until(lambda: not guests(server), "its guest is gone", SECONDS)
    until(lambda: _own(machine(real.state)) == _own(before), lambda: f"as before: {machine(real.state)} instead of {before}", SECONDS)


def test_guests_live_on_when_everything_is_killed(real: Cloud) -> None:
    """A guest that runs is not touched by the death of those who made it."""
    demo, admin = session(real), session(real, "admin")
    body = request(demo, "lives", patiently(lambda: network_of(demo)))
    patiently(lambda: demo.ask("compute", "POST", "/v2.1/servers", body))
    server = settled(demo, "lives", SECONDS)
    assert server and server["status"] == "ACTIVE"
    alive = guests(server)
    assert len(alive) == 1
    for victim in ("control", "agent"): kill(real.state, victim)
    assert settled(demo, "lives", SECONDS) and guests(server) == alive
    patiently(lambda: demo.ask("compute", "POST", f"/v2.1/servers/{server['id']}/action", {"os-stop": None}))
    until(lambda: not guests(server), "the agent found the guest again and powered it off", SECONDS)
    patiently(lambda: demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}"))
    until(lambda: not left(admin, server["id"]), lambda: f"nothing is left: {left(admin, server['id'])}", SECONDS)


def _own(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """What belongs to guests of this cloud; a network's metadata service stays a while after its last server."""
    return {"cards": [port for port in found["switch ports"] if port.startswith("tap")],
            **{name: found[name] for name in ("machines", "volumes", "servers")}}
