"""Messages are hints and may come twice, late or never: one request makes one machine, and what was taken over is not reported by two."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from tests.crash.inside import Cloud, parked, until

from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task
from pilvi.core.bus.interface import NobodyListens, RemoteFailure
from pilvi.core.bus.unix_socket import UnixSocketClient
from pilvi.core.http import client
from pilvi.core.http.client import Message, Reply

SECONDS = 60.0


@pytest.fixture()
def peer(inside: Cloud) -> Iterator[UnixSocketClient]:
    """Somebody on the bus who says everything again."""
    bus = UnixSocketClient(inside.settings.bus_path, name="peer")
    bus.start()
    yield bus
    bus.close()


def boot_of(cloud: Cloud, id: str) -> Any:
    with cloud.compute.database.read() as db: return db.scalars(select(Task).where(Task.subject_id == id, Task.flow == "boot")).one()


def runs_once(cloud: Cloud, id: str) -> None:
    """The server runs, on one host only, has one port and one place, and leaves nothing."""
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE", server
    assert len(cloud.machines(id)) == 1 and cloud.machines(id) == [cloud.host_of(id).name]
    left = cloud.left(id)
    assert len(left["ports"]) == 1 and len(left["allocations"]) == 1 and "tasks" not in left
    cloud.delete(id)
    cloud.gone(id)


@pytest.mark.parametrize("step", ["boot.14", "boot.20", "boot.25", "boot.29"])
def test_casts_again_and_again(inside: Cloud, peer: UnixSocketClient, step: str) -> None:
    with parked(step) as park:
        id = inside.boot("cast")
        park.wait()
        work = boot_of(inside, id)
        for host in inside.hosts:
            for _ in range(5): peer.cast(f"compute.host.{host.name}", "run", {"host": host.name, "task_id": work.id})
    runs_once(inside, id)


def test_no_cast_ever_arrives(inside: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent asks by itself what waits for it."""
    monkeypatch.setattr(inside.compute.bus, "cast", lambda *args, **more: None)
    id = inside.boot("no cast")
    server = inside.settled(id)
    assert server and server["status"] == "ACTIVE"
    inside.delete(id)
    inside.gone(id)


def test_scheduled_twice(inside: Cloud, peer: UnixSocketClient) -> None:
    """A select_host that is repeated while the first one runs, and once more after it: one host has the server."""
    with parked("boot.11") as park:
        id = inside.boot("scheduled")
        park.wait()
        work = boot_of(inside, id)
        again = {"task_id": work.id, "attempt": work.attempt}
        peer.call("compute.scheduler", "select_host", again, deadline_seconds=SECONDS)
    server = inside.settled(id)
    assert server and server["status"] == "ACTIVE", server
    with pytest.raises(RemoteFailure): peer.call("compute.scheduler", "select_host", again, deadline_seconds=SECONDS)
    runs_once(inside, id)


def test_reports_of_another_attempt_and_of_the_past(inside: Cloud, peer: UnixSocketClient) -> None:
    with parked("boot.23") as park:
        id = inside.boot("reported")
        park.wait()
        work = boot_of(inside, id)
        said = {"task_id": work.id, "act": "create_machine", "facts": {}, "spans": None}
        with pytest.raises(RemoteFailure): peer.call("compute.conductor", "report", said | {"attempt": 99}, deadline_seconds=SECONDS)
        early = peer.call("compute.conductor", "report", said | {"attempt": work.attempt}, deadline_seconds=SECONDS)
        assert early["act"] == "bind_ports"
        late = peer.call("compute.conductor", "fail", said | {"attempt": work.attempt, "act": "fetch_image", "error": "x"},
            deadline_seconds=SECONDS)
        assert late["act"] == "bind_ports"
    runs_once(inside, id)


def test_an_answer_that_was_lost(inside: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port whose answer did not arrive is found, not made again."""
    api, lost = client.TRANSPORTS["network"], list[str]()
    genuine = api.send

    def send(message: Message) -> Reply:
        reply = genuine(message)
        if message.method == "POST" and message.path == "/v2.0/ports" and not lost:
            lost.append(message.path)
            reply.status, reply.body = 503, b"{}"
        return reply

    monkeypatch.setattr(api, "send", send)
    id = inside.boot("answer")
    until(lambda: lost, "a port was made")
    runs_once(inside, id)


def test_one_row_per_request(inside: Cloud) -> None:
    ids = [inside.boot("same name") for _ in range(3)]
    for id in ids: runs_once(inside, id)
    with inside.compute.database.read() as db:
        assert db.query(Server).filter(Server.name == "same name").count() == 3


def test_what_a_host_says_of_itself_and_nobody_hears_is_said_again_soon(inside: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are silent for a minute get neither servers nor volumes."""
    def away(*args: Any, **more: Any) -> Any: raise NobodyListens(target="the conductor")

    host = inside.hosts[0]
    loops = host.compute.alive, host.volume.loop
    monkeypatch.setattr(host.bus, "call", away)  # a reason to patch: control is away, and comes back when the test wants it
    host.compute.say_alive()
    host.volume.report()
    assert all(loop.seconds < 3 for loop in loops)
    monkeypatch.undo()
    host.compute.say_alive()
    host.volume.report()
    assert all(loop.seconds > 5 for loop in loops)
