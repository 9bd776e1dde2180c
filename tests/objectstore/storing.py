"""A store on directories of a test, and what tests do with it in a line."""
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.interface import Written
from pilvi.objectstore.node.local import LocalNode

A, C = "AUTH_a", "c"


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body in these pieces."""
    for piece in pieces: yield piece


async def put(store: ClusterStore, name: str, content: bytes, policy: int = 0, **more: Any) -> Written:
    """An object in pieces of 64 KiB."""
    pieces = [content[start:start + 65536] for start in range(0, len(content), 65536)]
    given: dict[str, Any] = {"content_type": "text/plain", "metadata": {}, "sysmeta": {}} | more
    return await store.object_put(A, C, name, body(*pieces), policy=policy, **given)


async def get(store: ClusterStore, name: str, policy: int = 0, start: int = 0, stop: int | None = None) -> bytes:
    """Its bytes."""
    reader = await store.object_get(A, C, name, policy=policy)
    try: return b"".join([piece async for piece in reader.read(start, stop)])
    finally: await reader.close()


def options(devices: int = 1, replicas: int = 1, **more: Any) -> StorageOptions:
    """Small."""
    return StorageOptions(devices=devices, replicas=replicas, partition_power=4, reserve_bytes=0, audit_bytes_per_second=1 << 30, **more)


async def opened(path: Path, choices: StorageOptions) -> ClusterStore:
    """A store with account A and container C."""
    store = open_store(path, choices)
    await store.account_put(A, {})
    await store.container_put(A, C, {})
    return store


def node(store: ClusterStore) -> LocalNode:
    """Its own."""
    assert isinstance(store.members.local, LocalNode)
    return store.members.local


@contextmanager
def working(store: ClusterStore, choices: StorageOptions) -> Iterator[Work]:
    """What loops are called with."""
    work = Work(store, node(store), choices)
    try: yield work
    finally: work.close()


def object_files(path: Path, folder: str = "objects") -> list[Path]:
    """All object files under a store."""
    return sorted(file for file in path.glob(f"devices/*/{folder}/*/*") if file.is_file())
