"""A simulated cloud inside the test's process: control and its hosts as objects, so that a test may stop one of them between two lines.

The database, the bus, the tokens, the APIs and the agents are the real ones; only the machines are simulated, and APIs are called without a
socket. What kill -9 does to real processes is in test_boot.py.
"""
from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from pilvi.compute.agent.apis import Apis
from pilvi.compute.agent.images import Images
from pilvi.compute.agent.main import ComputeAgent
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers.interface import Machine
from pilvi.compute.drivers.simulated import Failures, Simulated, rules
from pilvi.compute.resources.attachment import BlockDevice
from pilvi.compute.resources.host import Host as HostRow
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task
from pilvi.compute.server.overdue import settle_overdue
from pilvi.core import clock, trace
from pilvi.core.bus.unix_socket import UnixSocketClient
from pilvi.core.context import Call
from pilvi.core.errors import Failure
from pilvi.core.http import auth, client
from pilvi.core.http.client import send
from pilvi.identity.client import Tokens, log_in
from pilvi.image.resources.image import Image
from pilvi.run.agent import STORY
from pilvi.run.server import Control
from pilvi.run.settings import Settings, prepare
from pilvi.volume.agent.main import VolumeAgent
from pilvi.volume.drivers.simulated import Simulated as SimulatedStore

SECONDS = 60.0
"""How long a test waits for what must come."""


class Counting(Simulated):
    """The simulated hypervisor; remembers which machines it was asked to make."""

    __slots__ = ("made",)

    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self.made: list[str] = []

    def create(self, machine: Machine) -> None:
        if machine.server_id not in self.power(): self.made.append(machine.server_id)
        super().create(machine)


class Host:
    """One host: its machines outlive its agents."""

    def __init__(self, cloud: Cloud, name: str, failures: str = "") -> None:
        self.cloud, self.name = cloud, name
        self.driver = Counting(name, seed=1, latencies={}, failures=Failures(rules(failures)), state_path=None)
        self.store = SimulatedStore(cloud.directory / "volumes")
        self.begin()

    def begin(self) -> None:
        """A new agent process."""
        settings = self.cloud.settings
        word = json.loads(settings.passwords_path.read_text())["pilvi-host"]
        self.tokens = Tokens("pilvi-host", word, "service")
        self.bus = UnixSocketClient(settings.bus_path, name=f"agent-{self.name}")
        home = self.cloud.directory / self.name
        node = Node({self.name: self.driver}, Apis(self.tokens, SECONDS), Images(home / "images"), home, threading.Semaphore(4),
                    open_metadata=_no_metadata, close_metadata=_no_metadata, opened_metadata=set, simulated=True)
        self.compute = ComputeAgent(self.bus, node, run=home, control_uid=os.getuid(), zone="nova", story=STORY, after_shutdown=False)
        self.volume = VolumeAgent(self.bus, {self.name: self.store}, self.tokens, locks=home / "locks")
        self.bus.start()
        self.volume.start()
        self.compute.start()

    def die(self) -> None:
        """The agent ends where it stands: nothing it still says is heard, and it takes nothing more."""
        self.compute.stopping = True
        for loop in (*self.compute.loops, self.volume.loop): loop._stop = True
        for runner in (self.compute.runner, self.volume.runner): runner._stop.set()
        self.bus.close(drain_seconds=0.0)

    def end(self) -> None:
        """The agent ends in good order."""
        if not self.compute.stopping: self.compute.stop(machines=False)
        self.volume.stop()
        self.bus.close(drain_seconds=1.0)


class Cloud:
    """Control, hosts, and a member and an administrator who ask the APIs."""

    def __init__(self, hosts: int = 2, failures: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pilvi-inside-"))
        self.settings = Settings(state=str(self.directory), simulated=True, unprivileged=False)
        prepare(self.settings)
        self.before = dict(client.TRANSPORTS), dict(auth.VALIDATORS), list(trace.BEFORE)
        self.control = Control(self.settings)
        self.control.start()
        self.compute = self.control.applications["compute"]
        self.tokens: dict[str, str] = {}
        self.hosts = [Host(self, f"host-{number + 1}", failures) for number in range(hosts)]
        self._furnish()

    def _furnish(self) -> None:
        until(lambda: len(self.ask("admin", "compute", "GET", "/v2.1/os-hypervisors")["hypervisors"]) == len(self.hosts),
            "the hosts have joined")
        flavor = {"id": "1", "name": "small", "ram": 128, "vcpus": 1, "disk": 1}
        self.ask("admin", "compute", "POST", "/v2.1/flavors", {"flavor": flavor})
        self.network = self.ask("demo", "network", "POST", "/v2.0/networks", {"network": {"name": "net"}})["network"]["id"]
        self.ask("demo", "network", "POST", "/v2.0/subnets",
            {"subnet": {"network_id": self.network, "cidr": "10.1.0.0/24", "ip_version": 4}})
        with self.control.applications["image"].database.write() as db:  # its bytes, which no simulated machine reads, need a socket
            image = Image(name="none", visibility="public", disk_format="raw", container_format="bare", state="active", size=0)
            db.add(image)
            db.flush()
            self.image = image.id

    def close(self) -> None:
        """Ends everything and removes every trace."""
        for host in self.hosts: host.end()
        self.control.stop()
        shutil.rmtree(self.directory)
        for shared, old in zip((client.TRANSPORTS, auth.VALIDATORS), self.before[:2], strict=True):
            shared.clear()  # type: ignore[attr-defined]
            shared.update(old)  # type: ignore[attr-defined]
        trace.BEFORE[:] = self.before[2]

    def ask(self, user: str, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request as admin or demo; its answer as data. Raises the API's Failure."""
        if user not in self.tokens:
            word = json.loads(self.settings.passwords_path.read_text())[user]
            self.tokens[user] = log_in(user, word, user)[0]
        headers = {"compute": {"openstack-api-version": "compute 2.96"}, "volume": {"openstack-api-version": "volume 3.71"}}.get(service,
            {})
        reply = send(Call(token=self.tokens[user]), service, method, path, body=body, query=query, headers=headers)
        return reply.json() if reply.body else None

    def boot(self, name: str, **more: Any) -> str:
        """Asks for a server; its id."""
        body = {"name": name, "imageRef": self.image, "flavorRef": "1", "networks": [{"uuid": self.network}], **more}
        return str(self.ask("demo", "compute", "POST", "/v2.1/servers", {"server": body})["server"]["id"])

    def server(self, id: str) -> dict[str, Any] | None:
        """The server as its user sees it; None when it is gone."""
        try: found: dict[str, Any] = self.ask("demo", "compute", "GET", f"/v2.1/servers/{id}")["server"]
        except Failure as failure:
            if failure.status != 404: raise
            return None
        return found

    def act(self, id: str, **action: Any) -> None:
        """An action on a server."""
        self.ask("demo", "compute", "POST", f"/v2.1/servers/{id}/action", {name.replace("_", "-"): value for name, value in action.items()})

    def delete(self, id: str) -> None:
        """The user's delete."""
        self.ask("demo", "compute", "DELETE", f"/v2.1/servers/{id}")

    def settled(self, id: str) -> dict[str, Any] | None:
        """The server once nothing is being done to it any more; None: it is gone."""
        seen: list[Any] = []

        def calm() -> bool:
            seen[:] = [self.server(id)]
            return seen[0] is None or (seen[0]["status"] != "BUILD" and seen[0]["OS-EXT-STS:task_state"] is None)

        until(calm, lambda: f"{id} is settled: {seen}")
        return seen[0]  # type: ignore[no-any-return]

    def tasks(self, id: str) -> list[tuple[str, str, str]]:
        """(flow, progress, queue) of the unfinished tasks of a server."""
        with self.compute.database.read() as db:
            rows = db.execute(select(Task.flow, Task.progress, Task.queue).where(Task.subject_id == id,
                Task.progress.in_(("ready", "debt"))))
            return [(row.flow, row.progress, row.queue) for row in rows]

    def left(self, id: str) -> dict[str, Any]:
        """What still exists for a server, everywhere; empty: it has left nothing."""
        with self.compute.database.read() as db:
            devices = [row.id for row in db.scalars(select(BlockDevice).where(BlockDevice.server_id == id))]
        found = {
            "ports": [p["id"] for p in self.ask("admin", "network", "GET", "/v2.0/ports", device_id=id)["ports"]],
            "allocations": list(self.ask("admin", "placement", "GET", f"/allocations/{id}")["allocations"]),
            "attachments": self.ask("admin", "volume", "GET", "/v3/attachments", instance_id=id, all_tenants="1")["attachments"],
            "machines": [host.name for host in self.hosts if id in host.driver.power()], "tasks": self.tasks(id), "devices": devices}
        return {name: things for name, things in found.items() if things}

    def gone(self, id: str) -> None:
        """Waits until the server is gone and nothing is left of it."""
        until(lambda: self.server(id) is None, lambda: f"{id} is gone: {self.server(id)} {self.tasks(id)}")
        until(lambda: not self.left(id), lambda: f"nothing is left of {id}: {self.left(id)}")

    def machines(self, id: str) -> list[str]:
        """The hosts on which a machine of the server was ever made."""
        return [host.name for host in self.hosts for made in host.driver.made if made == id]

    def host_of(self, id: str) -> Host:
        """The host that the server's record names."""
        with self.compute.database.read() as db: name = db.scalar(select(Server.host).where(Server.id == id))
        return next(host for host in self.hosts if host.name == name)

    def fall_silent(self, host: Host, *, control_too: bool = False) -> None:
        """As if the host had not been heard of for longer than silent_seconds; then the look that the loop takes every few seconds.
        `control_too`: as if there had been nobody who could have heard it."""
        long_ago = clock.now() - self.compute.config.silent_seconds - 1
        self.compute.began_at = clock.now() if control_too else long_ago
        with self.compute.database.write() as db:
            db.execute(update(HostRow).where(HostRow.name == host.name).values(seen_at=long_ago))
            db.execute(update(Task).where(Task.queue == f"host:{host.name}").values(updated_at=long_ago))
        settle_overdue(self.compute)


class Park:
    """Stops whoever reaches a step of a boot first, until `go`."""

    def __init__(self, step: str) -> None:
        self.step, self.lock = step, threading.Lock()
        self.arrived, self.may_go = threading.Event(), threading.Event()

    def __call__(self, name: str) -> None:
        if name != self.step: return
        with self.lock:
            if self.arrived.is_set(): return
            self.arrived.set()
        self.may_go.wait(SECONDS)

    def go(self) -> None:
        """On with it."""
        self.may_go.set()

    def wait(self) -> None:
        """Until somebody is there."""
        assert self.arrived.wait(SECONDS), f"nobody came to {self.step}"


@contextmanager
def parked(step: str) -> Iterator[Park]:
    """Within, the first to reach the step waits there."""
    park = Park(step)
    trace.BEFORE.append(park)
    try: yield park
    finally:
        park.go()
        trace.BEFORE.remove(park)


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = SECONDS) -> None:
    """Waits for the condition; `what` says afterwards what did not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.05)


def _no_metadata(network_id: str) -> None:
    """Simulated machines ask for none."""
