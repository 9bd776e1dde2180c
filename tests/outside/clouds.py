"""Clouds as their users start them, and the unmodified openstack client."""
from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
from openstack.config import OpenStackConfig

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "pilvi"
PORTS, SHARES = range(20_000, 32_000, 2), 4
"""Below those that the kernel gives away, for pairs; each of pytest's processes has a share of its own."""
GIVEN = set[int]()


class Client:
    """The openstack command as one cloud of clouds.yaml."""

    def __init__(self, state: Path, cloud: str) -> None:
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(state), "OS_CLOUD": cloud,
            "OS_CLIENT_CONFIG_FILE": str(state / "clouds.yaml")}
        self.program = Path(sys.executable).with_name("openstack")

    def run(self, *words: str, fails: bool = False, timeout: float = 900) -> str:
        """Standard output. The command must end well, or badly where that is expected (then its error text is returned)."""
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True, timeout=timeout, check=False)
        assert (done.returncode != 0) == fails, f"openstack {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr if fails else done.stdout

    def json(self, *words: str) -> Any:
        """The answer of a command as data."""
        return json.loads(self.run(*words, "-f", "json"))


class Cloud:
    """A cloud started through the launcher."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.admin, self.demo = Client(state, "pilvi"), Client(state, "pilvi-demo")

    def pilvi(self, *words: str, check: bool = True, timeout: float = 900, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of the launcher."""
        return subprocess.run([LAUNCHER, *words, "--state", str(self.state)], capture_output=True, text=True, check=check, timeout=timeout,
                              env=os.environ | environment)

    def while_up(self, *options: str, timeout: float = 900) -> Iterator[Cloud]:
        """It runs, at a port of its own, for as long as the caller wants it."""
        done = self.pilvi("up", *options, "--listen", f"127.0.0.1:{free_port()}", check=False, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        yield self
        self.pilvi("down")

    def connect(self, name: str) -> Any:
        """openstacksdk's connection, as one of clouds.yaml."""
        return openstack.connection.Connection(config=OpenStackConfig(config_files=[str(self.state / "clouds.yaml")]).get_one(name))


def wait(look: Callable[[], Any], what: str | Callable[[], str], seconds: float = 180) -> Any:
    """What is seen, once it is something; `what` says afterwards what did not come true."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.3)
    return seen


def free_port() -> int:
    """A port that nobody listens on, nor on the next one. Nobody else gets the two: it may be long until they are used, and used again."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = random.choice(PORTS[worker % SHARES::SHARES])
        if port in GIVEN: continue
        try:
            for each in (port, port + 1):
                with socket.socket() as probe: probe.bind(("127.0.0.1", each))
        except OSError: continue
        GIVEN.add(port)
        return port
