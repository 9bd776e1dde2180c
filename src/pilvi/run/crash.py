"""Crash points, for the tests that nothing is ever stuck: with PILVI_CRASH_POINTS set, the file DIR/run/control/crash-at names one.

It holds STEP:PROCESS: the name of a span (boot.14), and control or agent. Whoever reaches the step removes the file and kills -9 that
process,
by its pid file.
"""
from __future__ import annotations

import os
import signal
import time

from pilvi.core import trace
from pilvi.run import supervisor
from pilvi.run.settings import Settings


def arm(settings: Settings, process: str) -> None:
    """Looks for the file at each step from now on; does nothing without PILVI_CRASH_POINTS."""
    if not os.environ.get("PILVI_CRASH_POINTS"): return
    path = settings.run_directory / "control" / "crash-at"

    def before(name: str) -> None:
        try: step, _, victim = path.read_text().strip().partition(":")
        except FileNotFoundError: return
        if name != step: return
        path.unlink(missing_ok=True)
        pid = os.getpid() if victim == process else supervisor.running(settings.directory, victim)
        if pid: os.kill(pid, signal.SIGKILL)
        if victim == process: time.sleep(60)

    trace.BEFORE.append(before)
