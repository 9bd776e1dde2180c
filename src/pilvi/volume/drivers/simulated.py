"""Volumes without bytes: a small file says how large each would be. Quick, and true after a restart; for simulated clouds and tests."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilvi.volume.drivers.interface import Statistics, VolumeAbsent

TOTAL_MIB = 100 * 1024 * 1024
"""A simulated host has 100 TiB."""


class Record(Struct):
    """What is kept of a volume: its size and its snapshots with theirs, in GiB."""
    size_gib: int
    snapshots: dict[str, int] = {}


class Simulated:
    """A folder of records."""
    name = "simulated"
    holds_bytes = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self, volume_id: str, size_gib: int) -> None:
        if not self._path(volume_id).exists(): self._write(volume_id, Record(size_gib))

    def create_from_file(self, volume_id: str, size_gib: int, path: Path, form: str) -> None:
        self.create(volume_id, size_gib)

    def clone(self, volume_id: str, size_gib: int, source_id: str, snapshot_id: str | None) -> None:
        source = self._read(source_id)
        if snapshot_id is not None and snapshot_id not in source.snapshots:
            raise VolumeAbsent(f"snapshot {snapshot_id} of volume {source_id}")
        self.create(volume_id, size_gib)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        record = self._read(volume_id)
        record.snapshots.setdefault(snapshot_id, record.size_gib)
        self._write(volume_id, record)

    def delete_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        try: record = self._read(volume_id)
        except VolumeAbsent: return
        if record.snapshots.pop(snapshot_id, None) is not None: self._write(volume_id, record)

    def extend(self, volume_id: str, size_gib: int) -> None:
        record = self._read(volume_id)
        if record.size_gib >= size_gib: return
        record.size_gib = size_gib
        self._write(volume_id, record)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        record = self._read(volume_id)
        if snapshot_id not in record.snapshots: raise VolumeAbsent(f"snapshot {snapshot_id} of volume {volume_id}")
        record.size_gib = record.snapshots[snapshot_id]
        self._write(volume_id, record)

    def export(self, volume_id: str, path: Path, form: str) -> None:
        path.write_bytes(msgspec.json.encode(self._read(volume_id)))

    def delete(self, volume_id: str) -> None:
        self._path(volume_id).unlink(missing_ok=True)

    def connection(self, volume_id: str) -> dict[str, Any]:
        self._read(volume_id)
        return {"driver": "simulated", "volume_id": volume_id}

    def size_gib(self, volume_id: str) -> int:
        return self._read(volume_id).size_gib

    def volumes(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.folder) if not entry.name.startswith(".") and entry.is_file())

    def statistics(self) -> Statistics:
        return Statistics(total_mib=TOTAL_MIB, free_mib=TOTAL_MIB, reserve_mib=0)

    def workspace(self) -> Path:
        path = self.folder / ".exported"
        path.mkdir(exist_ok=True)
        return path

    def clean(self) -> None:
        for left in [*self.folder.glob(".new-*"), *self.workspace().iterdir()]: left.unlink(missing_ok=True)

    def _path(self, volume_id: str) -> Path:
        return self.folder / volume_id

    def _read(self, volume_id: str) -> Record:
        try: return msgspec.json.decode(self._path(volume_id).read_bytes(), type=Record)
        except FileNotFoundError: raise VolumeAbsent(f"volume {volume_id}") from None

    def _write(self, volume_id: str, record: Record) -> None:
        beside = self.folder / f".new-{volume_id}"
        beside.write_bytes(msgspec.json.encode(record))
        beside.rename(self._path(volume_id))
