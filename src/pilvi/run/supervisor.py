"""Starts Pilvi's processes in the background, says how they are, and ends them; watcher.py is the process that looks after them.

The processes live as long as the watcher, which starts again what dies. Guests do not belong to them: they have sessions of their own and
stay. Below the directory: run/NAME.pid (pid, start time, boot), run/processes.json (what `status` tells), logs/NAME.log and NAME.log.1.
Standard library only, for the watcher's sake.
"""
from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

NAME = "supervisor"
STOP_SECONDS = 60
"""What all processes may take to end after SIGTERM; an agent that takes the cloud down waits for its guests to power off."""


class Process(NamedTuple):
    """One process to run. It says that it is ready by writing a line `READY` to the descriptor in $PILVI_READY_FD.

    `env` is its whole environment; `uid` and `gid` None: the supervisor's own. It is started once those in `after` are ready.
    """
    name: str
    argv: list[str]
    uid: int | None = None
    gid: int | None = None
    env: dict[str, str] = {}
    cwd: str = "/"
    after: tuple[str, ...] = ()
    ready_seconds: float = 120


class Status(NamedTuple):
    """What is known of a process."""
    name: str
    state: str
    """starting, ready, waiting (it died and is started again) or stopped"""
    pid: int | None
    uptime_seconds: float
    memory_bytes: int | None
    """Its share (PSS); None: not ours to read."""
    restarts: int
    last_exit: str


class StartFailed(Exception):
    """Why not all processes became ready, with the end of the log."""


# ---- which process is which: a pid alone may by now belong to another

def identity(pid: int) -> str | None:
    """`PID TICKS BOOT` of a running process; None: there is none, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in "ZX" else f"{pid} {fields[19]} {boot}"


def running(directory: Path, name: str) -> int | None:
    """The pid of the process that this pid file means, if it still runs."""
    try:
        written = (directory / "run" / f"{name}.pid").read_text().strip()
        pid = int(written.split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if identity(pid) == written else None


def recorded(directory: Path) -> list[str]:
    """The names in the pid files that are ours: other daemons may keep theirs in the same folder."""
    return sorted(path.stem for path in (directory / "run").glob("*.pid") if len(path.read_text().split()) == 3)


# ---- the starter's side

def start(directory: Path, processes: Iterable[Process], progress: Callable[[str], None]) -> None:
    """Starts the processes and returns when all are ready; `progress` gets the name of each that is. Raises StartFailed, all stopped."""
    for folder in ("run", "logs"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    if strays := [entry.name for entry in status(directory) if entry.pid]:
        raise StartFailed(f"still running: {', '.join(strays)}")
    order_in, order_out = os.pipe()
    word_in, word_out = os.pipe()
    log = os.open(directory / "logs" / f"{NAME}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    actions = [(os.POSIX_SPAWN_DUP2, order_in, 0), (os.POSIX_SPAWN_DUP2, word_out, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    # Without site-packages: it needs none, and is smaller so.
    command = [sys.executable, "-P", "-S", "-m", "pilvi.run.watcher"]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    child = os.posix_spawn(sys.executable, command, environment, file_actions=actions, setsid=True)
    for descriptor in (order_in, word_out, log):
        os.close(descriptor)
    with os.fdopen(order_out, "w") as order:
        json.dump({"directory": str(directory.absolute()), "processes": [process._asdict() for process in processes]}, order)
    os.waitpid(child, 0)  # it has gone into the background
    try:
        hear(word_in, directory, progress)
    except KeyboardInterrupt:
        stop(directory)
        raise


def hear(words: int, directory: Path, progress: Callable[[str], None]) -> None:
    """Follows what the watcher says until all is up."""
    with os.fdopen(words) as lines:
        for line in lines:
            word = json.loads(line)
            if "ready" in word:
                progress(word["ready"])
            elif "failed" in word:
                raise StartFailed(word["failed"])
            elif "up" in word:
                return
    path = directory / "logs" / f"{NAME}.log"
    raise StartFailed(f"the supervisor ended; the end of {path}:\n{tail(path)}")


def status(directory: Path) -> list[Status]:
    """The supervisor and its processes, as they are now; empty: nothing was started here."""
    try:
        known: dict[str, Any] = json.loads((directory / "run" / "processes.json").read_text())
    except (OSError, ValueError):
        known = {}
    supervised = running(directory, NAME) is not None
    names = [NAME, *known] if known or supervised else []
    names += sorted(set(recorded(directory)) - set(names))
    up_since_boot = float(Path("/proc/uptime").read_text().split()[0])
    answer = []
    for name in names:
        pid, facts = running(directory, name), known.get(name, {})
        mark = identity(pid) if pid else None
        state = "stopped" if not mark and not (supervised and name in known) else facts.get("state", "ready")
        uptime = up_since_boot - int(mark.split()[1]) / os.sysconf("SC_CLK_TCK") if mark else 0.0
        answer.append(Status(name, state, pid if mark else None, uptime, memory(pid) if pid else None,
                             facts.get("restarts", 0), facts.get("last_exit", "")))
    return answer


def memory(pid: int) -> int | None:
    """The process's share of memory in bytes: what it shares with others counts in part."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def stop(directory: Path) -> None:
    """Ends the supervisor and all its processes, also those that a killed supervisor left; returns when they are gone."""
    end(directory, [NAME], STOP_SECONDS + 5)
    names = recorded(directory)
    end(directory, names, STOP_SECONDS)
    for file in (*(f"{name}.pid" for name in names), "processes.json"):
        (directory / "run" / file).unlink(missing_ok=True)


def end(directory: Path, names: list[str], patience_seconds: float) -> None:
    """SIGTERM to each that runs; SIGKILL to those that are still there when the patience is over."""
    handles = []
    for name in names:
        if pid := running(directory, name):
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            if running(directory, name) == pid:  # opened in time: the handle means this process and no later one
                handles.append(handle)
    end_all(handles, patience_seconds)


def end_all(handles: list[int], patience_seconds: float) -> None:
    """The same for processes that were opened (os.pidfd_open); closes the handles."""
    deadline = time.monotonic() + patience_seconds
    for number in (signal.SIGTERM, signal.SIGKILL):
        for handle in handles:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                pass
        for handle in handles:
            wait = max(0.0, deadline - time.monotonic()) if number == signal.SIGTERM else 5.0
            select.select([handle], [], [], wait)
        gone = select.select(handles, [], [], 0)[0] if handles else []
        for handle in gone:
            os.close(handle)
        handles = [handle for handle in handles if handle not in gone]


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
