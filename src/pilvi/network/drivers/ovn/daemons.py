"""A daemon of OVN or Open vSwitch in its own run directory: started detached so that it outlives us, and found again by its pid file.

A pid file alone is not believed: where nobody reaps orphans a dead daemon stays a zombie, and pids are used again. A daemon is alive when
its process is no zombie and its command line names our pid file.
"""
from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from pilvi.network.drivers.interface import NetworkFailure
from pilvi.network.drivers.ovn.commands import run

STOP_SECONDS = 15.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Daemon:
    """One daemon; `arguments` is its command line without what all of them get (detach, pid file, log file)."""
    name: str
    directory: Path
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def pid_path(self) -> Path:
        return self.directory / f"{self.name}.pid"

    def pid(self) -> int | None:
        """Its process id, or None when it does not run."""
        try:
            pid = int(self.pid_path.read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = _command_line(pid)
        except (OSError, ValueError, IndexError):
            return None
        return pid if state != "Z" and f"--pidfile={self.pid_path}" in command else None

    def start(self) -> bool:
        """Start it unless it runs with this command line (then it is adopted); returns whether it was started. It serves when this
        returns."""
        command = [*self.arguments, "--detach", "--no-chdir", f"--pidfile={self.pid_path}", f"--log-file={self.directory / self.name}.log",
                   "-vconsole:off", "-vsyslog:off"]
        if (pid := self.pid()) is not None:
            if _command_line(pid)[1:] == command[1:]: return False
            self.stop()
        self.pid_path.unlink(missing_ok=True)
        run(command, environment=self.environment)
        return True

    def stop(self) -> None:
        """End it: SIGTERM, then after a time limit SIGKILL. An ovn-controller leaves its flows in place at SIGTERM."""
        pid = self.pid()
        if pid is None: return
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break
            if self._gone_within(seconds): break
        else:
            raise NetworkFailure(f"{self.name} (process {pid}) does not end.")
        self.pid_path.unlink(missing_ok=True)

    def ended(self) -> None:
        """Wait until it, asked to exit, is gone; end it when it does not go."""
        if not self._gone_within(STOP_SECONDS): self.stop()

    def _gone_within(self, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > limit: return False
            time.sleep(POLL_SECONDS)
        return True


def _command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]


def missing(daemons: list[Daemon]) -> str | None:
    """A sentence about the daemons that do not run, or None."""
    dead = [daemon.name for daemon in daemons if daemon.pid() is None]
    if not dead: return None
    return f"{' and '.join(dead)} {'does' if len(dead) == 1 else 'do'} not run (directory {daemons[0].directory})."


def create_database(path: Path, schema: str) -> None:
    """Make a database file of that schema, or bring an older one up to it. Only while no server has it open."""
    if not path.exists():
        run(["ovsdb-tool", "create", str(path), schema])
    elif run(["ovsdb-tool", "needs-conversion", str(path), schema]).strip() == "yes":
        run(["ovsdb-tool", "convert", str(path), schema])
