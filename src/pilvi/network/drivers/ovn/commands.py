"""Running the programs of OVN, Open vSwitch and iproute2: a time limit for each, and a failure that says which one and why."""
from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from pilvi.network.drivers.interface import NetworkFailure

COMMAND_SECONDS = 60.0
"""Far above what any of them needs; a busy machine must not turn into a failure."""

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian keeps the daemons in sbin, which an unprivileged user's PATH lacks."""


def run(arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    """Run a program to its end and return what it printed; NetworkFailure with its complaint when it fails."""
    try:
        done = subprocess.run(
            list(arguments), env={**os.environ, "PATH": SEARCH_PATH, **(environment or {})}, input=stdin or "",
            capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except FileNotFoundError as error:
        raise NetworkFailure(f"The program {arguments[0]} is missing (packages ovn-central, ovn-host, openvswitch-switch).") from error
    except subprocess.TimeoutExpired as error:
        raise NetworkFailure(f"{arguments[0]} gave no answer within {COMMAND_SECONDS:.0f} s: {' '.join(arguments)}") from error
    if done.returncode:
        raise NetworkFailure(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip() or f'exit status {done.returncode}'}")
    return done.stdout


def succeeds(arguments: Sequence[str]) -> bool:
    """Whether a program ends well; for questions (does this exist?) and for removals of what may be gone already."""
    try:
        run(arguments)
    except NetworkFailure:
        return False
    return True
