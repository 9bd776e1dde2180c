"""Volumes as qcow2 files in a folder, opened by QEMU itself. Only guests of the same host can use them.

A file is made beside its name and renamed, so it is whole or absent. Snapshots are qcow2's own (in the same file): instant, and removed
with it. New volumes are full copies: a chain of backing files would tie their lives together. `qemu-img` is always told the format
and runs with limits on time and memory.
"""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pilvi.core.crypto import new_id
from pilvi.volume.drivers.interface import Statistics, StoreFailure, StoreFull, VolumeAbsent

LOG = structlog.get_logger()
GIB, MIB = 2**30, 2**20
RESERVE_MIB = 2048
"""Kept free: below it nothing new is made, so that the machine stays usable and things can be deleted."""
COPY_SECONDS, QUICK_SECONDS = 3600, 120
MEMORY_BYTES = 2 * GIB
"""Of address space for one qemu-img; a hostile image must not take the machine's memory."""
FORMATS = ("raw", "qcow2")


class Files:
    """A folder of volumes."""
    name = "file"
    holds_bytes = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self, volume_id: str, size_gib: int) -> None:
        def make(path: Path) -> None:
            _qemu_img(QUICK_SECONDS, "create", "-q", "-f", "qcow2", str(path), str(size_gib * GIB))

        self._make(volume_id, make)

    def create_from_file(self, volume_id: str, size_gib: int, path: Path, form: str) -> None:
        if form not in FORMATS: raise StoreFailure(f"images of format {form} cannot be put on volumes")
        self._make(volume_id, lambda target: self._convert(target, size_gib, ["-f", form, str(path)]))

    def clone(self, volume_id: str, size_gib: int, source_id: str, snapshot_id: str | None) -> None:
        source = str(self._present(source_id))
        if snapshot_id is None: arguments = ["-f", "qcow2", source]
        elif snapshot_id not in self._snapshots(source_id): raise VolumeAbsent(f"snapshot {snapshot_id} of volume {source_id}")
        # a snapshot's clusters never change, so it may be read while a guest writes to the volume (-U)
        else: arguments = ["-U", "-l", f"snapshot.name={snapshot_id}", "-f", "qcow2", source]
        self._make(volume_id, lambda target: self._convert(target, size_gib, arguments))

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        path = self._present(volume_id)
        if snapshot_id in self._snapshots(volume_id): return
        self._room()
        _qemu_img(QUICK_SECONDS, "snapshot", "-q", "-c", snapshot_id, str(path))

    def delete_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        if not self._path(volume_id).exists() or snapshot_id not in self._snapshots(volume_id): return
        _qemu_img(QUICK_SECONDS, "snapshot", "-q", "-d", snapshot_id, str(self._path(volume_id)))

    def extend(self, volume_id: str, size_gib: int) -> None:
        path = self._present(volume_id)
        if self._info(path)["virtual-size"] >= size_gib * GIB: return
        self._room()
        _qemu_img(QUICK_SECONDS, "resize", "-q", "-f", "qcow2", str(path), str(size_gib * GIB))

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        path = self._present(volume_id)
        if snapshot_id not in self._snapshots(volume_id): raise VolumeAbsent(f"snapshot {snapshot_id} of volume {volume_id}")
        _qemu_img(QUICK_SECONDS, "snapshot", "-q", "-a", snapshot_id, str(path))

    def export(self, volume_id: str, path: Path, form: str) -> None:
        source = self._present(volume_id)
        self._room()
        _qemu_img(COPY_SECONDS, "convert", "-q", "-f", "qcow2", "-O", form, str(source), str(path))

    def delete(self, volume_id: str) -> None:
        self._path(volume_id).unlink(missing_ok=True)
        self._sync()

    def connection(self, volume_id: str) -> dict[str, Any]:
        return {"driver": "file", "path": str(self._present(volume_id)), "format": "qcow2"}

    def size_gib(self, volume_id: str) -> int:
        return int(self._info(self._present(volume_id))["virtual-size"]) // GIB

    def volumes(self) -> list[str]:
        return sorted(path.name.removeprefix("volume-").removesuffix(".qcow2") for path in self.folder.glob("volume-*.qcow2"))

    def statistics(self) -> Statistics:
        usage = shutil.disk_usage(self.folder)
        return Statistics(total_mib=usage.total // MIB, free_mib=usage.free // MIB, reserve_mib=RESERVE_MIB)

    def workspace(self) -> Path:
        path = self.folder / "incoming"
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def clean(self) -> None:
        for left in [*self.folder.glob(".new-*"), *self.workspace().iterdir()]:
            left.unlink(missing_ok=True)
            LOG.info("leftover removed", path=str(left))

    # -- how

    def _path(self, volume_id: str) -> Path:
        return self.folder / f"volume-{volume_id}.qcow2"

    def _present(self, volume_id: str) -> Path:
        path = self._path(volume_id)
        if not path.exists(): raise VolumeAbsent(f"volume {volume_id}")
        return path

    def _room(self) -> None:
        left = self.statistics()
        if left.free_mib < left.reserve_mib:
            raise StoreFull(f"only {left.free_mib} MiB are free where volumes lie, and {left.reserve_mib} MiB are kept free")

    def _make(self, volume_id: str, make: Callable[[Path], None]) -> None:
        target = self._path(volume_id)
        if target.exists(): return
        self._room()
        beside = self.folder / f".new-{volume_id}-{new_id()[:8]}"
        try:
            make(beside)
            descriptor = os.open(beside, os.O_RDWR)
            try: os.fsync(descriptor)
            finally: os.close(descriptor)
            os.chmod(beside, 0o600)
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
        self._sync()

    def _convert(self, target: Path, size_gib: int, source: list[str]) -> None:
        _qemu_img(COPY_SECONDS, "convert", "-q", "-O", "qcow2", *source, str(target))
        have = int(self._info(target)["virtual-size"])
        if have > size_gib * GIB: raise StoreFailure(f"the image has {have} bytes and does not fit on {size_gib} GiB")
        if have < size_gib * GIB: _qemu_img(QUICK_SECONDS, "resize", "-q", "-f", "qcow2", str(target), str(size_gib * GIB))

    def _info(self, path: Path) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.json.decode(_qemu_img(QUICK_SECONDS, "info", "-U", "-f", "qcow2", "--output=json", str(path)))
        return told

    def _snapshots(self, volume_id: str) -> set[str]:
        return {entry["name"] for entry in self._info(self._path(volume_id)).get("snapshots", [])}

    def _sync(self) -> None:
        """A rename or a removal outlives a power cut only when the folder is written."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try: os.fsync(descriptor)
        finally: os.close(descriptor)


def _qemu_img(seconds: int, *arguments: str) -> bytes:
    limited = ["prlimit", f"--as={MEMORY_BYTES}", "--core=0", "--", "qemu-img", *arguments]
    try: done = subprocess.run(limited, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired: raise StoreFailure(f"qemu-img {arguments[0]} took more than {seconds} seconds") from None
    except FileNotFoundError: raise StoreFailure("prlimit is not installed") from None
    if done.returncode == 0: return done.stdout
    raise StoreFailure(f"qemu-img {arguments[0]}: {done.stderr.decode(errors='replace').strip()[:500]}")
