"""Steps of an installation: a command run into a log and shown as one line, one installer at a time.

Used by the launcher before there is an environment, so it needs the standard library only.
"""
from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Trouble(Exception):
    """What went wrong and what to do, told to the user; the program ends with `status`."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    """Tells the user something, apart from the output of the command itself."""
    print(f"pilvi: {message}", file=sys.stderr, flush=True)


class Progress:
    """One line per step; on a terminal it is rewritten while the step goes on."""

    def __init__(self, title: str) -> None:
        self.title, self.began, self.live = title, time.monotonic(), sys.stderr.isatty()
        self.show(" …")

    def show(self, detail: str, *, last: bool = False) -> None:
        before, after = ("\r\033[K", "\n" if last else "") if self.live else ("", "\n")
        print(f"{before}pilvi: {self.title}{detail}", end=after, file=sys.stderr, flush=True)

    def done(self, outcome: str = "done") -> None:
        self.show(f": {outcome} ({time.monotonic() - self.began:.0f} s)", last=True)


def run(title: str, command: list[str], log: Path, *, lock: int, count: str = "", total: int = 0, outlive: bool = False) -> None:
    """Runs a command into the log and shows how many of its lines begin with `count`; raises Trouble with the log's end.

    The command holds the descriptor `lock`, so that nobody begins beside it when this process is killed. One that must not be stopped
    half-way `outlive`s this process instead of being ended with it; it writes to the log file itself, never into a pipe that could break.
    """
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "PIP_USER": "0"}
    log.parent.mkdir(parents=True, exist_ok=True)
    progress, said, shown = Progress(title), "", 0
    with log.open("ab") as out, log.open("r", errors="replace") as reader:
        reader.seek(0, os.SEEK_END)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd="/",
                                 pass_fds=(lock,), start_new_session=outlive)
        try:
            while (status := child.poll()) is None:
                time.sleep(0.1)
                said += reader.read()
                seen = len(re.findall(f"^{count}", said, re.MULTILINE)) if count else 0
                if seen > shown and (progress.live or seen >= shown + 20):
                    shown = seen
                    progress.show(f": {min(seen, total)} of {total}")
        except BaseException:
            if outlive:
                say(f"the installation goes on in the background; see {log}")
            else:
                child.terminate()
                child.wait()
            raise
        said += reader.read()
    if status != 0:
        progress.done("failed")
        raise Trouble(f"{title}: status {status}; the end of {log}:\n  " + "\n  ".join(said.splitlines()[-15:]))
    progress.done()


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """One installer at a time; the kernel lets go of the lock when its last holder ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another launcher to finish …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
