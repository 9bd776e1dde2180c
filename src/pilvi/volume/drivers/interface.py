"""What volume asks of a store of block devices. Every driver passes tests/contract/test_volume_driver.py.

All methods are synchronous, may be called from several threads (for one volume only one at a time: the agent holds the volume's lock), and
may be repeated: making what is there already and removing what is absent change nothing. A crash in the middle of one leaves the volume as
it was before or as it is after, and at most a temporary file that `clean` removes. Names derive from ids: a driver needs no database.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct


class VolumeAbsent(Exception):
    """There is no such volume or snapshot on this host."""


class StoreFailure(Exception):
    """The store refused or failed; the text is shown to administrators."""


class StoreFull(StoreFailure):
    """There is too little room left; nothing was begun."""


class Statistics(Struct, frozen=True, kw_only=True):
    """What the store has. Below `reserve_mib` free, nothing new is made."""
    total_mib: int
    free_mib: int
    reserve_mib: int


class VolumeDriver(Protocol):
    """One host's store."""

    name: str
    """The backend's name, as it is shown behind the host's."""
    holds_bytes: bool
    """False: images need not be fetched, for nothing is kept of them."""

    def create(self, volume_id: str, size_gib: int) -> None:
        """Make an empty volume. Raises StoreFull."""

    def create_from_file(self, volume_id: str, size_gib: int, path: Path, form: str) -> None:
        """Make a volume with the content of a disk image of the format (raw or qcow2, checked before; never probed). Raises StoreFull."""

    def clone(self, volume_id: str, size_gib: int, source_id: str, snapshot_id: str | None) -> None:
        """Make a volume with the content of another, or of its snapshot, independent of it. Raises VolumeAbsent, StoreFull."""

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Keep the content as it is now, while nobody has the volume open. Raises VolumeAbsent, StoreFull."""

    def delete_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Remove a snapshot, while nobody has the volume open."""

    def extend(self, volume_id: str, size_gib: int) -> None:
        """Grow a volume, while nobody has it open; never shrinks. Raises VolumeAbsent, StoreFull."""

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        """Give the volume the content of its snapshot again, while nobody has it open. Raises VolumeAbsent."""

    def export(self, volume_id: str, path: Path, form: str) -> None:
        """Write the content to a new file of the format, while nobody has the volume open. Raises VolumeAbsent, StoreFull."""

    def delete(self, volume_id: str) -> None:
        """Remove a volume and its snapshots."""

    def connection(self, volume_id: str) -> dict[str, Any]:
        """How a hypervisor on this host opens it: {"driver": …}. Raises VolumeAbsent."""

    def size_gib(self, volume_id: str) -> int:
        """The size that a guest sees. Raises VolumeAbsent."""

    def volumes(self) -> list[str]:
        """The ids of all volumes on this host."""

    def statistics(self) -> Statistics:
        """What there is and what is left."""

    def workspace(self) -> Path:
        """A folder for the bytes of images that are about to become volumes."""

    def clean(self) -> None:
        """Remove what interrupted work has left. Called once, before anything else."""
