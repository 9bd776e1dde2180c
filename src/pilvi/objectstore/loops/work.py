"""What a loop works with: the cluster, this process's devices, and threads of its own so that requests don't wait."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.local import LocalNode
from pilvi.objectstore.node.update import ContainerTeller
from pilvi.objectstore.ring.lookup import Device, Ring

T = TypeVar("T")


class Work:
    """`node` is this process's."""

    def __init__(self, store: ClusterStore, node: LocalNode, options: StorageOptions) -> None:
        self.store, self.members, self.node, self.options = store, store.members, node, options
        self.teller = ContainerTeller(store.members)
        self.told: dict[tuple[str, Device], tuple[str, int, tuple[int, str]]] = {}
        """{(path of a database, a copy's device): (the copy's id, writes here, what a push returned)}: what needs no second look."""
        self.reclaimed: dict[str, float] = {}
        """{folder, or path of a database: when old tombstones in it were last looked for}"""
        self.rested: dict[str, tuple[int, bool, float]] = {}
        """{path of a container: (writes here, was this process the leader, until)}: those the sharder need not look at."""
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="object-loops")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """In a thread of the loops."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def devices(self) -> Iterator[LocalDevice]:
        """This process's."""
        yield from list(self.node.devices.values())

    def own(self, device: Device, local: LocalDevice) -> bool:
        """Is it this one?"""
        return device.node == self.members.own and device.name == local.name

    def leads(self, ring: Ring, partition: int) -> bool:
        """Does this process look after a partition's container or account? The first device that answers does, so that one does."""
        for device in ring.nodes(partition):
            if not self.members.suspected(device): return device.node == self.members.own
        return False

    def folders(self) -> Iterator[tuple[str, Ring, bool]]:
        """(folder, ring, erasure-coded?) of every policy."""
        for policy in self.members.policies: yield policy.folder, self.members.ring_of(policy.index), policy.erasure_coded

    def close(self) -> None:
        self._threads.shutdown(wait=True)
