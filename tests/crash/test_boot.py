"""kill -9 of control or agent at each of the 29 steps of a boot: it ends, without a hand, in ACTIVE, in a clean ERROR or (steps 1 to 6) in
no
server at all; and a delete leaves nothing."""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.outside.clouds import Cloud, free_port

from pilvi.core.errors import Failure
from pilvi.run import supervisor
from pilvi.run.furnish import Cloud as Session
from pilvi.run.settings import load

pytestmark = pytest.mark.slow
STEPS = [f"boot.{number:02}" for number in range(1, 30)]
NET = "192.168.99.0/24"


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Cloud:
    made = cloud_at("crash")
    privileged = ["--privileged-control"] if os.geteuid() == 0 else []
    done = made.pilvi("up", "--simulated", "--empty", "--hosts", "2", "--listen", f"127.0.0.1:{free_port()}", *privileged, check=False,
                      PILVI_CRASH_POINTS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def patiently(action: Callable[[], Any], seconds: float = 60) -> Any:
    """The action's result; tried again while control is away."""
    until = time.monotonic() + seconds
    while True:
        try: return action()
        except Failure as failure:
            if failure.status not in (401, 503) or time.monotonic() > until: raise
            time.sleep(0.1)


def session(cloud: Cloud) -> Session:
    made: Session = patiently(lambda: Session(load(cloud.state), "demo", "demo"))
    return made


def network_of(demo: Session) -> str:
    net = demo.make("network", "/v2.0/networks", "network", "networks", "crash")
    if not net["subnets"]:
        demo.ask("network", "POST", "/v2.0/subnets", {"subnet": {"network_id": net["id"], "cidr": NET, "ip_version": 4}})
    return str(net["id"])


@pytest.mark.parametrize("victim", ["control", "agent"])
@pytest.mark.parametrize("step", STEPS)
def test_crash(cloud: Cloud, step: str, victim: str) -> None:
    demo = session(cloud)
    net = patiently(lambda: network_of(demo))
    image = patiently(lambda: demo.ask("image", "GET", "/v2/images"))["images"][0]["id"]
    admin = patiently(lambda: Session(load(cloud.state), "admin", "admin"))
    name = f"{step}-{victim}"
    mark = cloud.state / "run" / "control" / "crash-at"
    mark.write_text(f"{step}:{victim}")
    mark.chmod(0o666)
    try:
        fresh = Session(load(cloud.state), "demo", "demo")
        fresh.ask("compute", "POST", "/v2.1/servers", {"server": {
            "name": name, "imageRef": image, "flavorRef": "1", "networks": [{"uuid": net}]}})
    except Failure as failure:
        assert failure.status == 503, failure
    _until(lambda: not mark.exists(), f"{victim} was killed at {step}", 30)
    server = _settled(demo, name)
    if server is None:
        assert step in STEPS[:6] or victim == "control", f"no server after a crash at {step}"
        return
    assert server["status"] in ("ACTIVE", "ERROR"), server
    if server["status"] == "ERROR": assert server["fault"]["message"]
    patiently(lambda: demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}"))
    _until(lambda: _find(demo, name) is None, "the server is gone", 60)
    _until(lambda: not _left(admin, server["id"]), f"nothing is left: {_left(admin, server['id'])}", 60)


def _settled(demo: Session, name: str) -> dict[str, Any] | None:
    until = time.monotonic() + 120
    seen_none = 0
    while time.monotonic() < until:
        server = patiently(lambda: _find(demo, name))
        if server is None:
            seen_none += 1
            if seen_none > 5: return None
        elif server["status"] in ("ACTIVE", "ERROR") and server["OS-EXT-STS:task_state"] is None: return server
        time.sleep(0.1)
    raise AssertionError(f"{name} is stuck: {server}")


def _find(demo: Session, name: str) -> dict[str, Any] | None:
    found = patiently(lambda: demo.ask("compute", "GET", "/v2.1/servers/detail", name=f"^{name}$"))["servers"]
    assert len(found) <= 1, f"{len(found)} servers of one request"
    return dict(found[0]) if found else None


def _left(admin: Session, id: str) -> list[Any]:
    ports = patiently(lambda: admin.ask("network", "GET", "/v2.0/ports", device_id=id))["ports"]
    held = patiently(lambda: admin.ask("placement", "GET", f"/allocations/{id}"))["allocations"]
    return [*(port["id"] for port in ports), *held]


def _until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not so within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def test_both_processes_run_again(cloud: Cloud) -> None:
    assert {s.name for s in supervisor.status(cloud.state) if s.state == "ready"} >= {"control", "agent"}
