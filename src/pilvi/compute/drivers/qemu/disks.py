"""A machine's disks: own overlays on an image, volumes, the config drive; as QEMU's `blockdev-add` and `device_add` see them.

Files are opened here, by the agent, and given to QEMU as descriptors (`/dev/fdset/N`): QEMU's own user needs no right on any path, nothing
has to change owner, and since every start opens them anew it makes no difference whether the machine, the agent or the whole host was
restarted. Formats are always told, never probed: what a guest writes into a raw disk can look like a qcow2 header naming any file of the
host.
"""
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from pilvi.compute.drivers.interface import Disk, HypervisorFailure
from pilvi.compute.drivers.qemu.definition import CONFIG_DRIVE_SLOT
from pilvi.compute.drivers.qemu.qmp import Monitor, Refused

GIB = 1 << 30
UNPLUG_SECONDS = 90
_ASK_AGAIN_SECONDS = 2
_SERIAL_LENGTH = 20  # virtio-blk's


class File(NamedTuple):
    """A file for QEMU: it sees it as /dev/fdset/`number`."""
    number: int
    path: Path
    writable: bool

    def open(self) -> int:
        try:
            return os.open(self.path, (os.O_RDWR if self.writable else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise HypervisorFailure(f"disk {self.path}: {error.strerror}") from error


class Opening(NamedTuple):
    """How to open a disk: its files, its block nodes from the bottom up (the last one is the disk's), its device."""
    files: list[File]
    nodes: list[dict[str, Any]]
    device: dict[str, Any]


def name(slot: int) -> str:
    """The disk's node and device, in QEMU's words (which allow node names of 31 characters: too few for an id)."""
    return f"disk{slot}"


def opening(disk: Disk, slot: int, own: Path) -> Opening:
    """How QEMU opens it; `own` is the path of the driver's own overlay, should it have one."""
    files: list[File] = []
    nodes: list[dict[str, Any]] = []
    top = {"node-name": name(slot), "read-only": disk.read_only, "discard": "unmap"}
    if disk.connection is not None:
        nodes.append({"node-name": f"{name(slot)}-file", "read-only": disk.read_only, "discard": "unmap", **_protocol(disk, slot, files)})
        nodes.append({"driver": _format(disk.connection.get("format", "raw")), "file": f"{name(slot)}-file", **top})
    else:
        files.append(File(2 * slot, own, writable=True))
        overlay = {"driver": "qcow2", "file": f"{name(slot)}-file", **top}
        if disk.image_path is not None:
            files.append(File(2 * slot + 1, Path(disk.image_path), writable=False))
            base = f"{name(slot)}-base"
            nodes.append({"driver": "file", "node-name": f"{base}-file", "filename": f"/dev/fdset/{2 * slot + 1}", "read-only": True})
            nodes.append({"driver": _format(disk.image_format), "node-name": base, "file": f"{base}-file", "read-only": True})
            if disk.image_format == "qcow2": nodes[-1]["backing"] = None  # an image names no other file, whatever its header says
            overlay["backing"] = base
        nodes.append({"driver": "file", "node-name": f"{name(slot)}-file", "filename": f"/dev/fdset/{2 * slot}", "discard": "unmap"})
        nodes.append(overlay)
    if nodes[-1]["driver"] == "qcow2" and "backing" not in nodes[-1]: nodes[-1]["backing"] = None
    device: dict[str, Any] = {"driver": "virtio-blk-pci", "id": name(slot), "drive": name(slot), "addr": f"{slot:x}.0",
                              "serial": (disk.serial or disk.id)[:_SERIAL_LENGTH]}
    if disk.boot_index >= 0: device["bootindex"] = disk.boot_index + 1  # 0 is a kernel's, which goes before any disk
    return Opening(files, nodes, device)


def config_drive(path: Path, *, as_cdrom: bool) -> Opening:
    """A read-only virtio disk in the last slot (every image that boots here can read one), or a CD-ROM where the image asks for it."""
    files = [File(2 * CONFIG_DRIVE_SLOT, path, writable=False)]
    nodes: list[dict[str, Any]] = [
        {"driver": "file", "node-name": "config-file", "filename": f"/dev/fdset/{2 * CONFIG_DRIVE_SLOT}", "read-only": True},
        {"driver": "raw", "node-name": "config", "file": "config-file", "read-only": True},
    ]
    if as_cdrom: return Opening(files, nodes, {"driver": "ide-cd", "id": "config", "drive": "config", "bus": "ide.1", "unit": 0})
    return Opening(files, nodes, {"driver": "virtio-blk-pci", "id": "config", "drive": "config", "addr": f"{CONFIG_DRIVE_SLOT:x}.0"})


def _protocol(disk: Disk, slot: int, files: list[File]) -> dict[str, Any]:
    """A volume's connection is what `blockdev-add` takes, save for files: these travel as descriptors."""
    connection = {key: value for key, value in (disk.connection or {}).items() if key != "format"}
    if connection.get("driver") != "file": return connection
    files.append(File(2 * slot, Path(connection["path"]), writable=not disk.read_only))
    return {"driver": "file", "filename": f"/dev/fdset/{2 * slot}"}


def _format(word: str) -> str:
    if word not in ("qcow2", "raw"): raise HypervisorFailure(f"disks of format {word!r} must be converted first")
    return word


def make(disk: Disk, own: Path) -> None:
    """Make the driver's own disk: an overlay on the image, or an empty one. May be repeated; an existing one is kept, and grown if it must
    be.
    """
    if disk.connection is not None: return
    least = virtual_size(Path(disk.image_path), disk.image_format) if disk.image_path is not None else 0
    size = disk.size_gib * GIB or least
    if size < least: raise HypervisorFailure(f"a disk of {disk.size_gib} GiB cannot hold an image of {least} bytes")
    if not own.exists():
        # -u: the image is not opened, for it comes from a user and this runs as root
        backing = [] if disk.image_path is None else ["-u", "-b", disk.image_path, "-F", _format(disk.image_format)]
        new = own.with_suffix(".new")
        qemu_img("create", "-q", "-f", "qcow2", *backing, str(new), str(size))
        new.replace(own)
    elif virtual_size(own, "qcow2") < size:
        qemu_img("resize", "-q", "-f", "qcow2", str(own), str(size))


def virtual_size(path: Path, form: str) -> int:
    """The guest's view of an image's size in bytes, from its header alone. Source: QEMU, docs/interop/qcow2.txt, "Header"."""
    try:
        with path.open("rb") as file: header = file.read(32)
        size = path.stat().st_size
    except OSError as error:
        raise HypervisorFailure(f"image {path}: {error.strerror}") from error
    if _format(form) == "raw": return -(-size // 512) * 512
    if header[:4] != b"QFI\xfb": raise HypervisorFailure(f"image {path} is not qcow2")
    return int.from_bytes(header[24:32], "big")


def qemu_img(*arguments: str, seconds: float = 120) -> None:
    """Run it. Formats and backing files are to be told, never probed."""
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode: raise HypervisorFailure(f"qemu-img {arguments[0]}: {done.stderr.strip()}")


def plug(monitor: Monitor, disk: Disk, slot: int, own: Path) -> None:
    """Plug it into a running machine. May be repeated: what is left of an interrupted attempt is taken away first."""
    if name(slot) in devices(monitor): return
    _close(monitor, slot)
    files, nodes, device = opening(disk, slot, own)
    try:
        for file in files:
            descriptor = file.open()
            try:
                monitor.execute_with_descriptor("add-fd", {"fdset-id": file.number}, descriptor)
            finally:
                os.close(descriptor)
        for node in nodes: monitor.execute("blockdev-add", node)
        monitor.execute("device_add", device)
    except HypervisorFailure:
        if monitor.connected: _close(monitor, slot)
        raise


def unplug(monitor: Monitor, slot: int, seconds: float = UNPLUG_SECONDS) -> None:
    """Unplug it and return when the guest has let go."""
    unplug_device(monitor, name(slot), seconds)
    _close(monitor, slot)


def devices(monitor: Monitor) -> set[str]:
    """The devices with an id."""
    return {entry["name"] for entry in monitor.execute("qom-list", {"path": "/machine/peripheral"}) if entry["type"].startswith("child<")}


def unplug_device(monitor: Monitor, device: str, seconds: float) -> None:
    """Ask the guest to release a device, again and again: one that still boots, or is busy, ignores the request."""
    deadline = time.monotonic() + seconds
    with monitor.events() as wait:
        while device in devices(monitor):
            try:
                monitor.execute("device_del", {"id": device})
            except Refused as refusal:
                if "process of unplug" not in str(refusal) and "not found" not in str(refusal): raise
            if wait(lambda event: event["event"] == "DEVICE_DELETED" and event["data"].get("device") == device, _ASK_AGAIN_SECONDS): return
            if time.monotonic() > deadline: raise HypervisorFailure(f"the guest did not let go of {device} within {seconds:g} s")


def _close(monitor: Monitor, slot: int) -> None:
    """Remove the block nodes and descriptors of a disk, from the top down, as far as they exist."""
    there = {node["node-name"] for node in monitor.execute("query-named-block-nodes", {"flat": True})}
    for node in (name(slot), f"{name(slot)}-file", f"{name(slot)}-base", f"{name(slot)}-base-file"):
        if node in there: monitor.execute("blockdev-del", {"node-name": node})
    for descriptors in monitor.execute("query-fdsets"):
        if descriptors["fdset-id"] in (2 * slot, 2 * slot + 1): monitor.execute("remove-fd", {"fdset-id": descriptors["fdset-id"]})


def resize(monitor: Monitor, slot: int, size_gib: int) -> None:
    """Give a running machine's disk its new size; a qcow2 or raw file grows by this very call."""
    monitor.execute("block_resize", {"node-name": name(slot), "size": size_gib * GIB})


def counters(statistics: dict[str, Any]) -> dict[str, int]:
    """What `query-blockstats` counted for a disk. Source: QMP Reference Manual, "BlockDeviceStats"."""
    words = {"read_bytes": "rd_bytes", "write_bytes": "wr_bytes", "read_requests": "rd_operations", "write_requests": "wr_operations",
             "flush_requests": "flush_operations", "errors": "failed_wr_operations", "read_nanoseconds": "rd_total_time_ns",
             "write_nanoseconds": "wr_total_time_ns"}
    return {ours: int(statistics.get(theirs, 0)) for ours, theirs in words.items()}


def sizes(nodes: list[dict[str, Any]], slot: int) -> dict[str, int]:
    """How large a disk is for the guest, and how much it takes here, of `query-named-block-nodes`."""
    image: dict[str, Any] = next((node.get("image", {}) for node in nodes if node.get("node-name") == name(slot)), {})
    return {"capacity_bytes": int(image.get("virtual-size", 0)), "allocated_bytes": int(image.get("actual-size", 0))}
