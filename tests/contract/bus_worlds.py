"""The places in which the bus's contract is tested: who can be connected there, and what can be killed."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.outside.clouds import free_port

from pilvi.core.bus.interface import Bus
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.bus.nats import NatsBus
from pilvi.core.bus.unix_socket import UnixSocketClient, UnixSocketHub

PEER = Path(__file__).with_name("bus_peer.py")
NATS_SERVER = "/usr/sbin/nats-server"


class World:
    """Ends in one process. `close` ends all that was begun here."""

    has_broker = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends: list[Bus] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.first = self._started(self._first())

    def another(self, name: str) -> Bus:
        """One more end of the same bus, connected."""
        return self._started(self._another(name))

    def close(self) -> None:
        for bus in reversed(self._ends): bus.close(0.5)
        for process in self._processes: kill(process)

    def _started(self, bus: Bus) -> Bus:
        if bus not in self._ends:
            self._ends.append(bus)
            bus.start()
        eventually(lambda: bus.health() is None)
        return bus

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        self._processes.append(process)
        return process

    def _first(self) -> Bus:
        raise NotImplementedError

    def _another(self, name: str) -> Bus:
        raise NotImplementedError

    def peer(self, target: str) -> subprocess.Popen[bytes]:
        """Another process that serves the target (bus_peer.py)."""
        raise NotImplementedError

    def broker(self) -> Broker:
        """What is in the middle, as something that can be killed; `first` and `another` of a world with one go through it."""
        raise NotImplementedError


class Broker:
    """A process that can be killed and started again."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start, self.process = start, start()

    def kill(self) -> None:
        kill(self.process)

    def restart(self) -> None:
        self.process = self._start()


class MemoryWorld(World):
    has_broker = False

    def _first(self) -> Bus:
        return MemoryBus("first")

    def _another(self, name: str) -> Bus:
        return self.first


class HubWorld(World):
    """The test's process is the control process: the first end is the hub itself."""

    has_broker = False

    def _first(self) -> Bus:
        return UnixSocketHub(self.folder / "bus", name="first")

    def _another(self, name: str) -> Bus:
        return UnixSocketClient(self.folder / "bus", name=name)

    def peer(self, target: str) -> subprocess.Popen[bytes]:
        return self.spawn(sys.executable, str(PEER), "client", str(self.folder / "bus"), target)


class ClientsWorld(HubWorld):
    """The hub is another process: all ends are its clients."""

    has_broker = True

    def _first(self) -> Bus:
        self._broker = Broker(lambda: self.spawn(sys.executable, str(PEER), "hub", str(self.folder / "bus"), "hub"))
        return UnixSocketClient(self.folder / "bus", name="first")

    def broker(self) -> Broker:
        return self._broker


class NatsWorld(World):
    def _first(self) -> Bus:
        port = free_port()
        self.url = f"nats://127.0.0.1:{port}"
        settings = self.folder / "nats.conf"
        settings.write_text(f'listen: "127.0.0.1:{port}"\nmax_payload: {8 * 1024 * 1024 + 128 * 1024}\n')
        self._broker = Broker(lambda: self.spawn(NATS_SERVER, "-c", str(settings), "-l", str(self.folder / "nats.log")))
        return NatsBus([self.url], name="first")

    def _another(self, name: str) -> Bus:
        return NatsBus([self.url], name=name)

    def peer(self, target: str) -> subprocess.Popen[bytes]:
        return self.spawn(sys.executable, str(PEER), "nats", self.url, target)

    def broker(self) -> Broker:
        return self._broker


WORLDS = {"memory": MemoryWorld, "hub": HubWorld, "clients": ClientsWorld, "nats": NatsWorld}


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until it holds; fails the test if it never does."""
    ends_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
