"""The cloud that is measured: started from this tree, simulated, in a folder of its own; and what its processes cost."""
from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TREE = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
PROCESSES = ("supervisor", "control", "agent")


class Refused(Exception):
    """An API said no."""


class Subject:
    """A running cloud."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self.first_answer_seconds = self.ready_seconds = 0.0

    def up(self, *words: str) -> None:
        """`pilvi up`, with the time to the first answer of the identity API and to its end."""
        begun = time.monotonic()
        process = subprocess.Popen(self._command("up", "--privileged-control", "--listen", f"127.0.0.1:{self.port}", *words),
                                   env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None and not self.first_answer_seconds:
            try:
                if Client(self.port).send("GET", "/identity/v3")[0] == 200: self.first_answer_seconds = time.monotonic() - begun
            except OSError: time.sleep(0.02)
        said, _ = process.communicate(timeout=300)
        self.ready_seconds = time.monotonic() - begun
        if process.returncode: raise Refused(said)

    def down(self) -> None:
        """`pilvi down`."""
        subprocess.run(self._command("down"), env=self._environment(), check=True, capture_output=True, timeout=300)

    def _command(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "pilvi.run.cli", verb, "--state", str(self.directory), *words]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(TREE / "src")}

    def memory_mb(self) -> float:
        """PSS of the cloud's processes."""
        found = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids()]
        return sum(int(line.split()[1]) for text in found for line in text.splitlines() if line.startswith("Pss:")) / 1000

    def cpu_seconds(self) -> float:
        """User and system time that the processes have used."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in self.pids()]
        return sum(int(words[11]) + int(words[12]) for words in stats) / TICKS

    def pids(self) -> list[int]:
        """Of supervisor, control and agent."""
        return [int((self.directory / "run" / f"{name}.pid").read_text().split()[0]) for name in PROCESSES]

    def password(self, user: str) -> str:
        """Of a user that `up` made."""
        return str(json.loads((self.directory / "control/keys/passwords.json").read_text())[user])

    def client(self, user: str = "admin", project: str = "admin") -> Client:
        """Signed in."""
        client = Client(self.port)
        client.token = client.log_in(user, self.password(user), project)
        return client


class Client:
    """One kept connection."""

    def __init__(self, port: int, token: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.port, self.token = port, token

    def again(self) -> Client:
        """Another connection of the same user, for another thread."""
        return Client(self.port, self.token)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body)"""
        sent = {"x-auth-token": self.token, "openstack-api-version": "compute 2.79", "content-type": "application/json", **headers}
        try: answer = self._answer(method, path, body, sent)
        except http.client.RemoteDisconnected: answer = self._answer(method, path, body, sent)  # it was idle for too long
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> http.client.HTTPResponse:
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        return self.connection.getresponse()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer as data. Raises Refused."""
        status, _, answer = self.send(method, path, body)
        if status >= 400: raise Refused(f"{method} {path}: {status} {answer[:500].decode()}")
        return json.loads(answer) if answer else None

    def log_in(self, user: str, password: str, project: str) -> str:
        """A token, by password."""
        status, headers, answer = self.send("POST", "/identity/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}}}})
        if status != 201: raise Refused(answer.decode())
        return headers["x-subject-token"]


def two_free_ports() -> int:
    """The first of two that nobody listens on: the object store has the second."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try: second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError): continue
            return port


@contextmanager
def cloud(*words: str) -> Iterator[Subject]:
    """A new cloud, taken down and removed at the end whatever happens."""
    subject = Subject(Path(tempfile.mkdtemp(prefix="pilvi-bench-", dir="/var/tmp")), two_free_ports())
    try:
        subject.up(*words)
        yield subject
    finally:
        subject.down()
        shutil.rmtree(subject.directory)
