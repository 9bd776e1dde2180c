"""Volume attachments of a server, and the block devices it was asked for.

Source: Compute API, "Servers with volume attachments"; microversions 2.49 (tag), 2.70, 2.79 (delete_on_termination), 2.85, 2.89.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.crypto import new_id
from pilvi.core.db.types import Json
from pilvi.core.wire import Base


class BlockDevice(Base):
    """A disk of a server. `volume_id` is None for the disk that lies on the host itself and until a volume to be made exists."""
    __tablename__ = "compute_block_devices"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    server_id: Mapped[str] = mapped_column(index=True)
    volume_id: Mapped[str | None] = mapped_column(index=True)
    attachment_id: Mapped[str | None]
    device: Mapped[str] = mapped_column(default="")
    boot_index: Mapped[int] = mapped_column(default=-1)
    source: Mapped[Any] = mapped_column(Json, default=dict)
    """{"type": image|blank|volume|snapshot, "id": …, "size_gib": …}"""
    delete_on_termination: Mapped[bool] = mapped_column(default=False)
    tag: Mapped[str | None]


def devices_of(db: Session, server_id: str) -> list[BlockDevice]:
    """A server's volumes and local disks, the boot disk first."""
    found = list(db.scalars(select(BlockDevice).where(BlockDevice.server_id == server_id)))
    return sorted(found, key=lambda device: (device.boot_index != 0, device.device))


def free_name(taken: list[str]) -> str:
    """The next free vdX name."""
    return next(f"/dev/vd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz" if f"/dev/vd{letter}" not in taken)
