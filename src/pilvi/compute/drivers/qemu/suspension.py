"""Keeps the memory of a machine in a file while it does not run, by QEMU's own migration.

The file is whole or not there: QEMU writes it beside. It is used up before the guest runs again, since with disks that have changed after
it it would destroy what is on them.
Source: QMP Reference Manual, "Migration"; QEMU, docs/devel/migration.rst.
"""
from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import HypervisorFailure
from pilvi.compute.drivers.qemu.qmp import Monitor, Refused

_DESCRIPTOR = "memory"
_LOOK_SECONDS = 0.1
_LIMIT_SECONDS = 1800
_KEEP_FREE_BYTES = 2 << 30
_WRITING = ("setup", "active", "pre-switchover", "device")
_FASTEST = 1 << 40
"""Bytes a second: as fast as the disk takes it."""


def keep(monitor: Monitor, memory_mib: int, beside: Path, path: Path) -> None:
    """Write the memory of a machine that stands still from now on. On failure it runs on. May be repeated: a copy that an agent left
    behind is brought to its end."""
    if path.exists(): return
    try:
        monitor.execute("stop")
        if not beside.exists() or not (_written(monitor) or _state(monitor) in _WRITING): _begin(monitor, memory_mib, beside)
        _await(monitor)
        beside.replace(path)
    except HypervisorFailure:
        if monitor.connected: _go_on(monitor)
        beside.unlink(missing_ok=True)
        raise


def _begin(monitor: Monitor, memory_mib: int, beside: Path) -> None:
    if shutil.disk_usage(beside.parent).free - (memory_mib << 20) < _KEEP_FREE_BYTES:
        raise HypervisorFailure(f"there is no room for {memory_mib} MiB of memory that leaves 2 GiB free")
    monitor.execute("migrate-set-parameters", {"max-bandwidth": _FASTEST})
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try: monitor.execute_with_descriptor("getfd", {"fdname": _DESCRIPTOR}, descriptor)
    finally: os.close(descriptor)
    monitor.execute("migrate", {"uri": f"fd:{_DESCRIPTOR}"})


def _await(monitor: Monitor) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not _written(monitor):
        if (state := _state(monitor)) not in (*_WRITING, "completed"): raise HypervisorFailure(f"QEMU could not write the memory: {state}")
        if time.monotonic() > deadline: raise HypervisorFailure(f"QEMU did not write the memory within {_LIMIT_SECONDS} s")
        time.sleep(_LOOK_SECONDS)


def _written(monitor: Monitor) -> bool:
    """Told by the run state: a machine that has been resumed says of its migration, too, that it is completed."""
    return bool(monitor.execute("query-status")["status"] == "postmigrate")


def _state(monitor: Monitor) -> str | None:
    told: dict[str, Any] = monitor.execute("query-migrate")
    return told.get("status")


def _go_on(monitor: Monitor) -> None:
    try: monitor.execute("migrate_cancel")
    except Refused: pass
    monitor.execute("cont")


def await_loaded(monitor: Monitor) -> None:
    """Until a machine that was started with a memory has it."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while monitor.execute("query-status")["status"] == "inmigrate":
        if time.monotonic() > deadline: raise HypervisorFailure(f"QEMU did not read the memory within {_LIMIT_SECONDS} s")
        time.sleep(_LOOK_SECONDS)
