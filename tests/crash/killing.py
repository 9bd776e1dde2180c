"""What the tests that kill -9 processes share: a cloud of real processes, asked patiently while one of them is away."""
from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.outside.clouds import Cloud

from pilvi.core.errors import Failure
from pilvi.run import supervisor
from pilvi.run.furnish import Cloud as Session
from pilvi.run.settings import load

NET = "192.168.99.0/24"
SECONDS = 60.0


def patiently(action: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """The action's result; tried again while control is away."""
    end = time.monotonic() + seconds
    while True:
        try: return action()
        except Failure as failure:
            if failure.status not in (401, 503) or time.monotonic() > end: raise
            time.sleep(0.1)


def session(cloud: Cloud, user: str = "demo") -> Session:
    """The cloud as a user sees it."""
    made: Session = patiently(lambda: Session(load(cloud.state), user, user))
    return made


def network_of(demo: Session) -> str:
    """The id of the network that the servers of these tests are on."""
    net = demo.make("network", "/v2.0/networks", "network", "networks", "crash")
    if not net["subnets"]:
        demo.ask("network", "POST", "/v2.0/subnets", {"subnet": {"network_id": net["id"], "cidr": NET, "ip_version": 4}})
    return str(net["id"])


def request(demo: Session, name: str, net: str, **more: Any) -> dict[str, Any]:
    """The body that asks for a server."""
    image = patiently(lambda: demo.ask("image", "GET", "/v2/images"))["images"][0]["id"]
    return {"server": {"name": name, "imageRef": image, "flavorRef": "1", "networks": [{"uuid": net}], **more}}


def crash_at(state: Path, step: str, victim: str) -> Path:
    """Whoever reaches the step next kills the victim; the returned file is gone once that has happened."""
    mark = state / "run" / "control" / "crash-at"
    mark.write_text(f"{step}:{victim}")
    mark.chmod(0o666)
    return mark


def kill(state: Path, victim: str) -> None:
    """kill -9, now."""
    send(state, victim, signal.SIGKILL)


@contextmanager
def frozen(state: Path, victim: str) -> Iterator[None]:
    """Within, the process does not run: it answers nothing, but its connections stay."""
    pid = send(state, victim, signal.SIGSTOP)
    try: yield
    finally: os.kill(pid, signal.SIGCONT)


def send(state: Path, victim: str, number: signal.Signals) -> int:
    """A signal to the process, once it runs; its pid."""
    end = time.monotonic() + SECONDS
    while True:
        pid = supervisor.running(state, victim)  # (one that was killed a moment ago may end between two looks)
        try:
            if pid is not None:
                os.kill(pid, number)
                return pid
        except ProcessLookupError: pass
        assert time.monotonic() < end, f"{victim} does not run"
        time.sleep(0.1)


def find(demo: Session, name: str) -> dict[str, Any] | None:
    """The server of that name; there must not be two."""
    found = patiently(lambda: demo.ask("compute", "GET", "/v2.1/servers/detail", name=f"^{name}$"))["servers"]
    assert len(found) <= 1, f"{len(found)} servers of one request"
    return dict(found[0]) if found else None


def settled(demo: Session, name: str, seconds: float = SECONDS) -> dict[str, Any] | None:
    """The server once nothing is being done to it; None if there is none."""
    end, absent, server = time.monotonic() + seconds, 0, None
    while time.monotonic() < end:
        server = find(demo, name)
        if server is None:
            absent += 1
            if absent > 5: return None
        elif server["status"] != "BUILD" and server["OS-EXT-STS:task_state"] is None: return server
        time.sleep(0.1)
    raise AssertionError(f"{name} is stuck: {server}")


def left(admin: Session, id: str) -> list[Any]:
    """What other services still hold for a server."""
    ports = patiently(lambda: admin.ask("network", "GET", "/v2.0/ports", device_id=id))["ports"]
    held = patiently(lambda: admin.ask("placement", "GET", f"/allocations/{id}"))["allocations"]
    attached = patiently(lambda: admin.ask("volume", "GET", "/v3/attachments", instance_id=id, all_tenants="1"))["attachments"]
    return [*(port["id"] for port in ports), *held, *(one["id"] for one in attached)]


def machines(state: Path, id: str) -> list[str]:
    """The simulated hosts on which the server has a machine."""
    return [path.stem for path in (state / "host" / "machines").glob("*.json") if id in path.read_text()]


def delete(demo: Session, admin: Session, state: Path, server: dict[str, Any]) -> None:
    """Deletes the server; nothing of it is left."""
    def ask() -> None:
        try: demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}")
        except Failure as failure:
            if failure.status != 404: raise

    patiently(ask)
    until(lambda: find(demo, server["name"]) is None, "the server is gone")
    until(lambda: not left(admin, server["id"]) and not machines(state, server["id"]),
          lambda: f"nothing is left: {left(admin, server['id'])} {machines(state, server['id'])}")


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = SECONDS) -> None:
    """Waits for the condition; `what` says afterwards what did not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.1)
