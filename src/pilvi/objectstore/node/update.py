"""Containers are told of their objects: at once if they can be reached, else from a file that stays until they have been told.

The node that stores a copy tells some copies of the container, so that nobody's death between the two leaves an object unlisted: a proxy's
does not matter, and a node that died looks again at what it stored last (recover.py).
"""
from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from pilvi.core.errors import Failure
from pilvi.objectstore.cluster.members import Members, down
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.disk import sync_folder
from pilvi.objectstore.node.interface import Moved, NoContainer
from pilvi.objectstore.node.plan import shard_account

LOG = structlog.get_logger()
TELL_SECONDS = 2.0
HOPS = 8
"""So often a copy may say that a shard has the name, before it's told later: a container, a shard of it, and shards that replace that."""


class Pending(msgspec.Struct, array_like=True):
    """What a container has not been told yet, and which of its copies."""
    account: str
    container: str
    row: ObjectRow
    copies: list[int]


class ContainerTeller:
    """Tells copies of containers of rows."""

    def __init__(self, members: Members) -> None:
        self.members = members

    async def tell(self, device: LocalDevice, rows: Sequence[tuple[str, str, ObjectRow]], copies: Sequence[int]) -> None:
        """Tells the copies of these numbers; whom it can't reach is told later, from a file on the device."""
        for account, container, row in rows:
            missed = await self.try_(account, container, row, copies)
            if missed: keep(device, Pending(account, container, row, missed))

    async def try_(self, account: str, container: str, row: ObjectRow, copies: Sequence[int]) -> list[int]:
        """The numbers of those that were not told."""
        ring = self.members.rings["container"]

        async def one(number: int) -> bool:
            place = account, container
            for _ in range(HOPS):
                partition, hashed = self.members.place(ring, *place)
                devices = ring.nodes(partition)
                device = devices[number % len(devices)]
                if self.members.suspected(device): return False
                try: await self.members.call(device, "container_merge", partition, hashed, *place, [row], seconds=TELL_SECONDS)
                except Moved as failure: place = shard_account(account), failure.facts["container"]
                except (NoContainer, Failure) as failure:
                    if not isinstance(failure, NoContainer) and not down(failure): raise
                    return False
                else: return True
            return False

        if len(copies) == 1: return [] if await one(copies[0]) else list(copies)
        told = await asyncio.gather(*(one(number) for number in copies))
        return [number for number, done in zip(copies, told, strict=True) if not done]


def keep(device: LocalDevice, pending: Pending) -> None:
    """Writes it down."""
    path = device.pending / f"{pending.row.timestamp}-{secrets.token_hex(6)}"
    beside = device.path / "tmp" / path.name
    with beside.open("wb") as file:
        file.write(msgspec.msgpack.encode(pending))
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, path)
    sync_folder(str(device.pending))


def read(path: Path) -> Pending | None:
    """What a file tells; None: it is damaged or gone."""
    try: return msgspec.msgpack.decode(path.read_bytes(), type=Pending)
    except (OSError, msgspec.DecodeError): return None
