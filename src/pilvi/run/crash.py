"""Crash points, for the tests that nothing is ever stuck: PILVI_CRASH_AT=STEP:PROCESS kills -9 that process when the step begins, once.

STEP is a span's name (boot.14), PROCESS control or agent; whoever reaches the step kills, by the pid file. A mark in DIR/run keeps it from
happening again after the restart.
"""
from __future__ import annotations

import os
import signal
import time

from pilvi.core import trace
from pilvi.run import supervisor
from pilvi.run.settings import Settings


def arm(settings: Settings, process: str) -> None:
    """Reads the environment; does nothing without PILVI_CRASH_AT."""
    wish = os.environ.get("PILVI_CRASH_AT")
    if not wish: return
    step, _, victim = wish.partition(":")
    mark = settings.run_directory / "control" / "crashed"

    def before(name: str) -> None:
        if name != step or mark.exists(): return
        mark.touch()
        pid = os.getpid() if victim == process else supervisor.running(settings.directory, victim)
        if pid: os.kill(pid, signal.SIGKILL)
        if victim == process: time.sleep(60)

    trace.BEFORE.append(before)
