"""Copies a disk as it is at one moment into a file of its own.

Of a machine that runs, QEMU copies: what the guest overwrites meanwhile is copied before, so that the guest need not stand still (as it
would have to for the whole copy otherwise). The copy is what a power cut would leave: what the guest has not written yet is not in it.
Source: QMP Reference Manual, "blockdev-backup", "Background jobs"; QEMU, "Live Block Device Operations".
"""
from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import Disk, HypervisorFailure
from pilvi.compute.drivers.qemu import disks
from pilvi.compute.drivers.qemu.definition import CONFIG_DRIVE_SLOT
from pilvi.compute.drivers.qemu.qmp import Monitor, Refused

_NAME = "copy"
"""The job, and the node that it writes to."""
_SET = 2 * CONFIG_DRIVE_SLOT + 2
"""The target's descriptor set; all below are the disks'."""
_LOOK_SECONDS = 0.2
_STALLED_SECONDS = 120
_COLD_SECONDS = 3600
_KEEP_FREE_BYTES = 2 << 30
_EXTERNAL_DATA_FLAG, _FLAGS_AT = 4, 72


def copy(monitor: Monitor | None, disk: Disk, slot: int, own: Path, path: Path) -> None:
    """Write the disk to `path`; `monitor`: of the machine's process, should there be one."""
    if disk.connection is not None: raise HypervisorFailure(f"disk {disk.id} is a volume")
    if monitor is not None: abandon(monitor)
    path.unlink(missing_ok=True)
    _check_room(disk, own, path)
    if monitor is None: _cold(disk, own, path)
    else: _live(monitor, slot, own, path)


def abandon(monitor: Monitor) -> None:
    """End a copy that was begun, by whomever. May be repeated."""
    if _job(monitor) is not None:
        try: monitor.execute("job-cancel", {"id": _NAME})
        except Refused: pass  # it has ended already
        _concluded(monitor)
        monitor.execute("job-dismiss", {"id": _NAME})
    there = {node["node-name"] for node in monitor.execute("query-named-block-nodes", {"flat": True})}
    for node in (_NAME, f"{_NAME}-file"):
        if node in there: monitor.execute("blockdev-del", {"node-name": node})
    if any(one["fdset-id"] == _SET for one in monitor.execute("query-fdsets")): monitor.execute("remove-fd", {"fdset-id": _SET})


def _live(monitor: Monitor, slot: int, own: Path, path: Path) -> None:
    disks.qemu_img("create", "-q", "-f", "qcow2", str(path), str(disks.virtual_size(own, "qcow2")))
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try: monitor.execute_with_descriptor("add-fd", {"fdset-id": _SET}, descriptor)
        finally: os.close(descriptor)
        monitor.execute("blockdev-add", {"driver": "file", "node-name": f"{_NAME}-file", "filename": f"/dev/fdset/{_SET}"})
        monitor.execute("blockdev-add", {"driver": "qcow2", "node-name": _NAME, "file": f"{_NAME}-file", "backing": None})
        monitor.execute("blockdev-backup", {"job-id": _NAME, "device": disks.name(slot), "target": _NAME, "sync": "full",
                                            "auto-dismiss": False})
        failure = _concluded(monitor).get("error")
        if failure: raise HypervisorFailure(f"the copy failed: {failure}")
    finally:
        if monitor.connected: abandon(monitor)


def _concluded(monitor: Monitor) -> dict[str, Any]:
    """The job once it has ended. Looked at rather than listened for: an event may be lost with the agent."""
    seen, since = -1, time.monotonic()
    while (job := _job(monitor)) is not None and job["status"] != "concluded":
        if job["current-progress"] != seen: seen, since = job["current-progress"], time.monotonic()
        if time.monotonic() - since > _STALLED_SECONDS: raise HypervisorFailure(f"the copy made no progress for {_STALLED_SECONDS} s")
        time.sleep(_LOOK_SECONDS)
    if job is None: raise HypervisorFailure("the copy has vanished")
    return job


def _job(monitor: Monitor) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = monitor.execute("query-jobs")
    return next((job for job in found if job["id"] == _NAME), None)


def _cold(disk: Disk, own: Path, path: Path) -> None:
    """Every file is named here: what QEMU was in reach of for a guest, the overlay's own header too, is not asked."""
    disks.make(disk, own)
    with own.open("rb") as file: header = file.read(104)
    if int.from_bytes(header[_FLAGS_AT:_FLAGS_AT + 8], "big") & _EXTERNAL_DATA_FLAG: raise HypervisorFailure(f"{own} names another file")
    backing: dict[str, Any] | None = None
    if disk.image_path is not None:
        backing = {"driver": disk.image_format, "file": {"driver": "file", "filename": disk.image_path}}
        if disk.image_format == "qcow2": backing["backing"] = None
    source = {"driver": "qcow2", "file": {"driver": "file", "filename": str(own)}, "backing": backing}
    disks.qemu_img("convert", "-q", "-O", "qcow2", f"json:{json.dumps(source)}", str(path), seconds=_COLD_SECONDS)


def _check_room(disk: Disk, own: Path, path: Path) -> None:
    """A copy holds at most what was written and what the image could hold."""
    least = own.stat().st_blocks * 512 if own.exists() else 0
    if disk.image_path is not None: least += disks.virtual_size(Path(disk.image_path), disk.image_format)
    if shutil.disk_usage(path.parent).free - least < _KEEP_FREE_BYTES:
        raise HypervisorFailure(f"there is no room for a copy of at most {least >> 20} MiB that leaves 2 GiB free")
