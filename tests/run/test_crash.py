"""Crash points: armed only on demand, each goes off once, and names its victim."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pilvi.core import trace
from pilvi.run import crash
from pilvi.run.settings import Settings
crash.arm(Settings(state=sys.argv[1]), "agent")
with trace.active(trace.Trace(steps={})):
    for name in ("boot.13", "boot.14"): trace.mark(name, "a", "b", "call")
print("alive")
"""


def run(tmp_path: Path, word: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "run" / "control").mkdir(parents=True)
    (tmp_path / "run" / "control" / "crash-at").write_text(word)
    clean = {name: value for name, value in os.environ.items() if name != "PILVI_CRASH_POINTS"}
    return subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False,
                          env=clean | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")} | environment)


def test_at_its_step(tmp_path: Path) -> None:
    done = run(tmp_path, "boot.14:agent\n", PILVI_CRASH_POINTS="1")
    assert done.returncode == -signal.SIGKILL and "alive" not in done.stdout
    assert not (tmp_path / "run/control/crash-at").exists(), "once"


@pytest.mark.parametrize(("word", "switch", "left"), [
    ("boot.14:agent", {}, True), ("boot.20:agent", {"PILVI_CRASH_POINTS": "1"}, True),
    ("boot.13:control", {"PILVI_CRASH_POINTS": "1"}, False)])
def test_otherwise_nothing(tmp_path: Path, word: str, switch: dict[str, str], left: bool) -> None:
    done = run(tmp_path, word, **switch)
    assert done.stdout == "alive\n" and (tmp_path / "run/control/crash-at").exists() == left
