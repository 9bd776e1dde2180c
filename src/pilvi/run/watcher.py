"""The process that looks after Pilvi's processes: starts them, hears of their readiness and death, starts them again, ends them together.

It is started by supervisor.start, needs the standard library only and is small. Its children are told to end when it dies, however that
happens.
"""
from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from pilvi.run.files import write_whole
from pilvi.run.supervisor import NAME, STOP_SECONDS, Process, identity, tail

FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS, STEADY_SECONDS = 0.5, 30.0, 1.0
"""A dead process is started again after 0.5, 1, 2, … 30 s, for ever; after a second of running it begins at 0.5 again."""
LOG_BYTES = 16 * 1024 * 1024
WATCH_SECONDS = 10
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Child:
    """A process in the supervisor's care."""

    def __init__(self, process: Process) -> None:
        self.process, self.name = process, process.name
        self.pid: int | None = None
        self.pipe: int | None = None
        self.said = b""
        self.ready = False
        self.began = 0.0
        self.next_start: float | None = 0.0
        """When to start it, by the monotonic clock; None: it runs."""
        self.delay, self.restarts, self.last_exit = FIRST_DELAY_SECONDS, 0, ""

    def state(self) -> str:
        return "waiting" if self.pid is None else "ready" if self.ready else "starting"


class Watcher:
    """Starts children, hears of their readiness and death, and ends them."""

    def __init__(self, directory: Path, processes: list[Process], word: int) -> None:
        self.directory, self.word = directory, word
        self.children = {process.name: Child(process) for process in processes}
        self.starting, self.asked_to_stop, self.failure = True, False, ""
        self.told = set[str]()
        """Who has been asked to end."""
        self.stop_deadline = 0.0
        """When those that have not ended are killed, by the monotonic clock; 0: it is not being stopped."""
        self.lock = os.open(directory / "run" / f"{NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def serve(self) -> int:
        """Runs until told to stop, or until the first start fails; gives the exit status."""
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Daemons that fork away (QEMU, OVS) become its children, so that somebody reaps them: process 1 of a container may not.
        self.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.hear_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        write_whole(self.directory / "run" / f"{NAME}.pid", identity(os.getpid()) or "")
        self.report()
        while not self.stop_deadline or any(child.pid for child in self.children.values()):
            self.start_due()
            pipes = {child.pipe: child for child in self.children.values() if child.pipe is not None}
            for descriptor in select.select([wake, *pipes], [], [], self.next_look())[0]:
                if descriptor in pipes:
                    self.listen(pipes[descriptor])
                else:
                    os.read(wake, 4096)
            if self.asked_to_stop:
                self.begin_stop()
            self.reap()
            if self.stop_deadline: self.begin_stop()
            self.look_at_clock()
        for name in (*self.children, NAME):
            (self.directory / "run" / f"{name}.pid").unlink(missing_ok=True)
        (self.directory / "run" / "processes.json").unlink(missing_ok=True)
        note("stopped")
        os.close(self.lock)
        self.tell({"failed": self.failure} if self.failure else {"stopped": True})  # last: the starter may begin anew at once
        return 1 if self.failure else 0

    def hear_signal(self, *_: object) -> None:
        """Only a note: a signal may come in the middle of anything."""
        self.asked_to_stop = True

    def start_due(self) -> None:
        """Starts what is due and whose predecessors are ready."""
        for child in self.children.values():
            due = child.next_start is not None and child.next_start <= time.monotonic() and not self.stop_deadline
            if due and (child.restarts or all(self.children[name].ready for name in child.process.after)):
                self.spawn(child)

    def spawn(self, child: Child) -> None:
        """Forks a child; what goes wrong in it is in its log."""
        log = os.open(self.directory / "logs" / f"{child.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            try:
                self.become(child.process, log, writer, parent)
            except BaseException:
                os.write(log, traceback.format_exc().encode())
            os._exit(127)
        os.close(log)
        os.close(writer)
        child.pid, child.pipe, child.said, child.ready, child.began, child.next_start = pid, reader, b"", False, time.monotonic(), None
        write_whole(self.directory / "run" / f"{child.name}.pid", identity(pid) or "")
        note(f"{child.name}: started, pid {pid}")
        self.report()

    def become(self, process: Process, log: int, ready: int, parent: int) -> None:
        """In the forked child: turns into the process."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.set_inheritable(ready, True)
        if process.gid is not None:
            os.setgroups([])
            os.setresgid(process.gid, process.gid, process.gid)
        if process.uid is not None:
            os.setresuid(process.uid, process.uid, process.uid)
        # After the change of uid, which clears it. Should the supervisor have died in between, nobody would send it.
        self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.chdir(process.cwd)
        os.execvpe(process.argv[0], process.argv, process.env | {"PILVI_READY_FD": str(ready)})

    def listen(self, child: Child) -> None:
        """Reads what a child says about its readiness."""
        assert child.pipe is not None
        data = os.read(child.pipe, 4096)
        child.said += data
        if b"READY" in child.said.split(b"\n")[:-1]:
            child.ready = True
            self.report()  # before the starter hears of it and asks
            note(f"{child.name}: ready after {time.monotonic() - child.began:.1f} s")
            self.tell({"ready": child.name})
            if self.starting and all(other.ready for other in self.children.values()):
                self.starting = False
                self.tell({"up": True})
                os.close(self.word)
                self.word = -1
        if child.ready or not data:
            os.close(child.pipe)
            child.pipe = None

    def reap(self) -> None:
        """Takes note of every death, strangers' too."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children.values():
                if child.pid == pid:
                    exit_code = os.waitstatus_to_exitcode(code)
                    self.died(child, f"exit status {exit_code}" if exit_code >= 0 else f"signal {-exit_code}")

    def died(self, child: Child, how: str) -> None:
        """Plans the next start; during the first start of all, a death is the end."""
        if child.pipe is not None:
            os.close(child.pipe)
        ran = time.monotonic() - child.began
        child.pid, child.pipe, child.ready, child.last_exit = None, None, False, how
        (self.directory / "run" / f"{child.name}.pid").unlink(missing_ok=True)
        note(f"{child.name}: {how} after {ran:.1f} s")
        if self.starting and not self.stop_deadline:
            self.fail(f"{child.name}: {how}", child)
        elif not self.stop_deadline:
            child.delay = FIRST_DELAY_SECONDS if ran >= STEADY_SECONDS or not child.restarts else min(child.delay * 2, LAST_DELAY_SECONDS)
            child.restarts += 1
            child.next_start = time.monotonic() + child.delay
        self.report()

    def fail(self, why: str, child: Child) -> None:
        """Gives the first start up."""
        path = self.directory / "logs" / f"{child.name}.log"
        self.failure = f"{why}; the end of {path}:\n{tail(path)}"
        self.begin_stop()

    def begin_stop(self) -> None:
        """Asks the children to end, those first that came last: an agent says good-bye to a control process that still listens. May be
        repeated."""
        if not self.stop_deadline: self.stop_deadline = time.monotonic() + STOP_SECONDS
        living = [child for child in self.children.values() if child.pid is not None]
        for child in living:
            if child.name not in self.told and not any(child.name in other.process.after for other in living):
                self.told.add(child.name)
                os.kill(child.pid or 0, signal.SIGTERM)

    def signal_all(self, number: signal.Signals) -> None:
        for child in self.children.values():
            if child.pid is not None:
                os.kill(child.pid, number)

    def next_look(self) -> float:
        """Seconds until the clock matters again."""
        now = time.monotonic()
        times = [child.next_start for child in self.children.values() if child.next_start and not self.stop_deadline]
        times += [child.began + child.process.ready_seconds for child in self.children.values() if child.pid and not child.ready]
        times += [self.stop_deadline] if self.stop_deadline else []
        return max(0.05, min([WATCH_SECONDS, *(moment - now for moment in times)]))

    def look_at_clock(self) -> None:
        """Limits of time, and of the logs' size."""
        now = time.monotonic()
        if self.stop_deadline and now >= self.stop_deadline:
            self.signal_all(signal.SIGKILL)
        for child in self.children.values():
            if child.pid and not child.ready and now - child.began > child.process.ready_seconds:
                why = f"{child.name}: not ready after {child.process.ready_seconds:g} s"
                note(why)
                if self.starting and not self.stop_deadline:
                    self.fail(why, child)
                else:
                    os.kill(child.pid, signal.SIGKILL)
        for name in (*self.children, NAME):
            rotate(self.directory / "logs" / f"{name}.log")

    def report(self) -> None:
        """Writes what `status` tells."""
        facts = {child.name: {"state": child.state(), "restarts": child.restarts, "last_exit": child.last_exit}
                 for child in self.children.values()}
        write_whole(self.directory / "run" / "processes.json", json.dumps(facts))

    def tell(self, word: dict[str, Any]) -> None:
        """Tells the starter, while it waits."""
        try:
            os.write(self.word, json.dumps(word).encode() + b"\n")
        except OSError:
            pass  # it has gone: all was said, or it was interrupted


def rotate(path: Path) -> None:
    """Copies a full log away and empties it: its writers hold it open and append."""
    try:
        if path.stat().st_size <= LOG_BYTES:
            return
    except OSError:
        return
    with path.open("rb") as full, path.with_name(path.name + ".1").open("wb") as old:
        while os.copy_file_range(full.fileno(), old.fileno(), LOG_BYTES):
            pass
    os.truncate(path, 0)


def note(message: str) -> None:
    """A line of the supervisor's own log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), message, file=sys.stderr, flush=True)


def main() -> int:
    """The program: takes the order from standard input, answers on standard output, goes into the background."""
    order = json.load(sys.stdin)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.umask(0o022)
    os.chdir("/")
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what the starter's own caller left open
    word = os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    processes = [Process(**process) for process in order["processes"]]
    try:
        return Watcher(Path(order["directory"]), processes, word).serve()
    except BlockingIOError:
        os.write(word, json.dumps({"failed": "another supervisor runs here"}).encode() + b"\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
