"""A process that is asked to end: whenever that is, and whichever thread hears it."""
from __future__ import annotations

import gc
import signal
import subprocess
import sys
from pathlib import Path

from pilvi.run.process import ready

PROCESS = """
import subprocess, sys, threading
from pilvi.run.process import End
end = End.expect()
for _ in range(4): threading.Thread(target=threading.Event().wait, daemon=True).start()
child = "import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
subprocess.run([sys.executable, "-S", "-c", child], check=True)
{before}
end.wait()
print("ended well", flush=True)
"""
SAY = "print('waiting', flush=True)"
SOURCES = str(Path(__file__).parents[2] / "src")


def run(before: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROCESS.format(before=before)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": SOURCES})


def test_asked_while_it_begins_or_in_a_thread_it_ends_well() -> None:
    asked = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    in_a_thread = "import signal; threading.Thread(target=signal.raise_signal, args=[signal.{}]).start()"
    for before in (asked, in_a_thread.format("SIGTERM"), in_a_thread.format("SIGINT")):
        process = run(before)
        assert process.communicate(timeout=60)[0].endswith("ended well\n") and process.returncode == 0


def test_asked_while_it_waits_it_ends_well_and_its_children_can_be_ended_too() -> None:
    process = run(SAY)
    assert process.stdout is not None
    assert [process.stdout.readline(), process.stdout.readline()] == ["True 0\n", "waiting\n"]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "ended well\n" and process.returncode == 0


def test_what_it_has_when_it_is_ready_is_not_collected_again() -> None:
    before = gc.get_freeze_count()
    ready()
    try: assert gc.get_freeze_count() > before + 1000
    finally: gc.unfreeze()
