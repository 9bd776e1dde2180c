"""One device of a node: its object files and its databases, in a directory that one process owns."""
from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from pilvi.objectstore.node import account, container
from pilvi.objectstore.node.database import Databases
from pilvi.objectstore.node.disk import Disk


class DeviceInUse(Exception):
    """Another process has this device."""


class LocalDevice:
    """A directory (the mount point of a disk). `powers`: {policy's folder: power of its ring}. Raises DeviceInUse."""

    def __init__(self, name: str, path: Path, reserve_bytes: int = 0, powers: Mapping[str, int] | None = None) -> None:
        self.name, self.path = name, path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try: fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DeviceInUse(str(path)) from None
        self.recovered = (path / "clean").exists()
        """Has what changed before the last end been told to containers? Not if that end came by itself."""
        (path / "clean").unlink(missing_ok=True)
        self.disk = Disk(path, reserve_bytes)
        for folder, power in (powers or {}).items(): self.disk.layout.aim(folder, power)
        self.containers = Databases(path, "containers", container.SCHEMA)
        self.accounts = Databases(path, "accounts", account.SCHEMA)
        self.pending = path / "pending"
        self.pending.mkdir(exist_ok=True)

    def databases(self, kind: str) -> Databases:
        """Of `container` or `account`."""
        return self.containers if kind == "container" else self.accounts

    def lost(self) -> bool:
        """Has the directory been taken away, or emptied?"""
        try: return os.stat(self.path / "lock").st_ino != os.fstat(self._lock).st_ino or not (self.path / "tmp").is_dir()
        except OSError: return True

    def close(self) -> None:
        """Gives the directory free."""
        self.containers.close()
        self.accounts.close()
        if self.recovered and not self.lost(): (self.path / "clean").touch()
        os.close(self._lock)
