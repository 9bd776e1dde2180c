"""QEMU processes: start one, find those that run, end one.

They are found by their command line and working directory, not by pid files: a pid file survives a crash and says nothing about who has
the pid now, and process 1 of a container may leave the dead unreaped, to which signals can still be sent. A zombie has no command line, so
it is not found.
"""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import HypervisorFailure
from pilvi.compute.drivers.qemu.definition import Home

PROGRAM = "qemu-system-x86_64"
_TICKS = os.sysconf("SC_CLK_TCK")


def credentials(uid: int | None) -> dict[str, Any]:
    """Arguments of Popen: the guest's own user, with the groups that may use /dev/kvm."""
    if uid is None: return {}
    try:
        groups = [os.stat("/dev/kvm").st_gid]
    except FileNotFoundError:
        groups = []
    return {"user": uid, "group": uid, "extra_groups": [group for group in groups if group != 0]}


def launch(command: list[str], home: Home, uid: int | None, descriptors: list[int]) -> subprocess.Popen[bytes]:
    """Start QEMU in its run directory, in a session of its own so that it outlives the agent, with these descriptors under the same
    numbers.

    It runs as the guest's user from its first instruction. The working directory is entered before that, and its sockets are named
    relative to it: so nothing above needs to be open to that user.
    """
    with home.qemu_log.open("wb") as log:
        return subprocess.Popen(command, cwd=home.run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                pass_fds=descriptors, umask=0o077, **credentials(uid))


def find(directory: Path) -> dict[str, int]:
    """{server_id: pid} of the machines of this directory that run."""
    found: dict[str, int] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit(): continue
        try:
            words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.path.basename(words[0]) != PROGRAM.encode() or b"-uuid" not in words: continue
        server_id = words[words.index(b"-uuid") + 1].decode()
        if _working_directory(int(entry.name)) in (None, str(Home(directory, server_id).run)): found[server_id] = int(entry.name)
    return found


def _working_directory(pid: int) -> str | None:
    """None where it may not be read (a container without CAP_SYS_PTRACE); two machines of one id on one host are then not told apart."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int, seconds: float = 30) -> None:
    """End it at once and wait until it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    if not gone(pid, seconds): raise HypervisorFailure(f"QEMU (process {pid}) did not die within {seconds:g} s")


def gone(pid: int, seconds: float) -> bool:
    """Wait for its end."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline: return False
        time.sleep(0.02)
    return True


def usage(pid: int) -> tuple[float, int]:
    """CPU seconds so far and resident MiB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") >> 20
