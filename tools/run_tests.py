"""Runs the checks and the tests; started by `./pilvi test` in the checkout's environment.

./pilvi test               the everyday ones: style, types, layout, and every test that is neither real nor slow
./pilvi test --ci          the same, then the slow ones, then the real ones (root, QEMU, OVN)
./pilvi test NAME          one suite of SUITES
./pilvi test PATH [ARGS]   these tests, with pytest's own arguments

Every step runs, whatever the ones before it found; the last lines say which failed.
"""
from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest", "-rfE", "--durations=5", "--durations-min=5"]
PARALLEL = ["-n", "2", "--dist", "loadfile"]
NO_TESTS = 5
"""pytest's status when it found no test."""

CHECKS: dict[str, list[str]] = {
    "style": [PYTHON, "-m", "ruff", "check", "--output-format", "concise", ".", "pilvi", "tools/lock"],
    "types": [PYTHON, "-m", "mypy", "--strict", "src/pilvi", "tools"],
    "layout": [PYTHON, "tools/check_layout.py"],
}
SUITES: dict[str, list[str]] = {
    "everyday": [*PARALLEL, "-m", "not real and not slow"],
    "slow": [*PARALLEL, "-m", "slow and not real"],
    "real": ["-m", "real and not debian and not long"],
    "contract": [*PARALLEL, "tests/contract"],
    "guest": ["tests/image/guest"],
    "crash": ["-m", "not long", "tests/crash"],
    "long": ["-m", "long"],
    "debian": ["tests/outside/test_debian.py"],
    "fuzz": ["tests/fuzz"],
    "postgres": [*PARALLEL, "-k", "postgres", "tests/core", "tests/fuzz"],
    "outside": ["-m", "not debian and not long", "tests/outside"],
}
"""{name: pytest's arguments}. A named suite runs all that it holds, the real and slow ones too; `debian` and `long` are in no other."""


def run(name: str, command: list[str], empty_is_fine: bool = False) -> str | None:
    """Runs one step in the open; gives its name when it failed."""
    print(f"── {name}", flush=True)
    began = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    seconds = time.monotonic() - began
    if status == NO_TESTS and empty_is_fine:
        print(f"── {name}: there are no such tests ({seconds:.0f} s)\n", flush=True)
        return None
    print(f"── {name}: {'ok' if status == 0 else f'FAILED, status {status}'} ({seconds:.0f} s)\n", flush=True)
    return name if status else None


def main(arguments: list[str]) -> int:
    """Chooses the steps, runs them, gives the exit status."""
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nSuites: {' '.join([*CHECKS, *SUITES])}")
        return 0
    everything = arguments == ["--ci"]
    if not arguments or everything:
        suites = ["everyday", "slow", "real"] if everything else ["everyday"]
        failed = [run(name, command) for name, command in CHECKS.items()]
        failed += [run(name, [*PYTEST, *SUITES[name]], empty_is_fine=True) for name in suites]
    elif arguments[0] in CHECKS:
        failed = [run(arguments[0], CHECKS[arguments[0]] + arguments[1:])]
    else:
        failed = [run(arguments[0], [*PYTEST, *SUITES.get(arguments[0], arguments[:1]), *arguments[1:]])]
    names = [name for name in failed if name]
    print(f"Failed: {', '.join(names)}" if names else "All passed.", flush=True)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
