"""Another size for a stopped machine, and the way back: copies of its own disks beside them, and `before.json`, which says that they are
whole. Each step may be repeated; a crash in between leaves the old size or the new one.
"""
from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pilvi.compute.drivers.interface import HypervisorFailure, Size
from pilvi.compute.drivers.qemu import disks
from pilvi.compute.drivers.qemu.definition import Definition, Home

_COPY_SECONDS = 3600


def apply(home: Home, found: Definition, size: Size) -> None:
    """Keeps what the machine is, then gives it the size; its own disks grow."""
    if not home.before.exists():
        for slot in _own(found): _copy(home.own_disk(slot), home.disk_before(slot))
        _write(home.before, msgspec.json.encode(_size_of(found)))
    wanted = _sized(found, size)
    for slot, disk in wanted.disks(): disks.make(disk, home.own_disk(slot))
    home.save(wanted)


def revert(home: Home, found: Definition) -> None:
    """What was kept is in force again; nothing happens if nothing was kept."""
    if not home.before.exists(): return forget(home, found)
    for slot in _own(found):
        if home.disk_before(slot).exists(): home.disk_before(slot).replace(home.own_disk(slot))
    home.save(_sized(found, msgspec.json.decode(home.before.read_bytes(), type=Size)))
    forget(home, found)


def forget(home: Home, found: Definition) -> None:
    """What was kept goes."""
    home.before.unlink(missing_ok=True)
    for slot in _own(found): home.disk_before(slot).unlink(missing_ok=True)


def _own(found: Definition) -> Iterator[int]:
    return (slot for slot, disk in found.disks() if disk.connection is None)


def _size_of(found: Definition) -> Size:
    machine = found.machine
    return Size(vcpus=machine.vcpus, memory_mib=machine.memory_mib, extra_specs=machine.extra_specs,
                disk_gib=max((disk.size_gib for disk in machine.disks if disk.connection is None), default=0))


def _sized(found: Definition, size: Size) -> Definition:
    return replace(found, machine=size.of(found.machine))


def _copy(path: Path, to: Path) -> None:
    """A copy that shares what it can and keeps the holes; whole or not at all."""
    new = to.with_suffix(".new")
    done = subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(path), str(new)], capture_output=True, text=True,
                          timeout=_COPY_SECONDS, check=False)
    if done.returncode:
        new.unlink(missing_ok=True)
        raise HypervisorFailure(f"the disk could not be kept before the resize: {done.stderr.strip()[-300:]}")
    new.replace(to)


def _write(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
