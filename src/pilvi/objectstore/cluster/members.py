"""Who is in the cluster: rings, nodes, and which of those did not answer lately."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from pilvi.core import clock
from pilvi.objectstore.node.interface import Full, Node, NodeDown, Uploading
from pilvi.objectstore.policies import Policies
from pilvi.objectstore.ring.lookup import Device, Ring, name_hash, partition_of

SUSPECT_SECONDS = 5.0
CALL_SECONDS = 5.0


class Members:
    """`rings`: {"account", "container", "object", "object-1" …}. `reach` makes the node of a device that is not in this process."""

    def __init__(self, rings: dict[str, Ring], policies: Policies, key: bytes, own: str, local: Node | None,
                 reach: Callable[[Device], Node]) -> None:
        self.rings, self.policies, self.key, self.own, self.local, self._reach = rings, policies, key, own, local, reach
        self._nodes: dict[tuple[str, str], Node] = {}
        self._suspects: dict[tuple[str, str], float] = {}

    def ring_of(self, policy: int) -> Ring:
        """Where a policy's objects lie."""
        return self.rings["object" if not policy else f"object-{policy}"]

    def powers(self) -> dict[str, int]:
        """{folder of a policy: power of its ring}"""
        return {policy.folder: self.ring_of(policy.index).power for policy in self.policies}

    def place(self, ring: Ring, *path: str) -> tuple[int, str]:
        """(partition, hash) of a name."""
        hashed = name_hash(self.key, *path)
        return partition_of(hashed, ring.power), hashed

    def node(self, device: Device) -> Node:
        """The process that has a device."""
        if device.node == self.own and self.local: return self.local
        key = (device.node, device.url)
        if key not in self._nodes: self._nodes[key] = self._reach(device)
        return self._nodes[key]

    async def call(self, device: Device, operation: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        """One operation on one device. Raises NodeDown, also after so many seconds; then it is suspect for a while."""
        if device.node == self.own and self.local: return await self.local.call(device.name, operation, *arguments)
        try: return await asyncio.wait_for(self.node(device).call(device.name, operation, *arguments), seconds)
        except TimeoutError: raise self.silent(device, seconds) from None
        except NodeDown:
            self.suspect(device)
            raise

    async def upload(self, device: Device, folder: str, partition: int, name: str) -> Uploading:
        """Begins a file on a device. Raises NodeDown, Full."""
        try: return await asyncio.wait_for(self.node(device).upload(device.name, folder, partition, name), CALL_SECONDS)
        except TimeoutError: raise self.silent(device, CALL_SECONDS) from None
        except NodeDown:
            self.suspect(device)
            raise

    def suspect(self, device: Device) -> None:
        """It can't be reached, or refuses."""
        self._suspects[device.node, device.name] = clock.monotonic() + SUSPECT_SECONDS

    def silent(self, device: Device, seconds: float) -> NodeDown:
        """Its node does not answer in time: nobody need wait for its other devices too."""
        self._suspects[device.node, ""] = clock.monotonic() + SUSPECT_SECONDS
        return NodeDown(reason=f"{device.node} takes longer than {seconds} s")

    def suspected(self, device: Device) -> bool:
        """Did it not answer, a moment ago?"""
        if not self._suspects: return False
        until = max(self._suspects.get((device.node, device.name), 0.0), self._suspects.get((device.node, ""), 0.0))
        return until > clock.monotonic()

    def reading_order(self, ring: Ring, partition: int) -> list[Device]:
        """The devices that should hold it: this process's own first, suspects last."""
        return sorted(ring.nodes(partition), key=lambda device: (self.suspected(device), device.node != self.own))

    async def leave_loop(self) -> None:
        """Ends the connections of this event loop."""
        for node in self._nodes.values(): await node.close()

    async def close(self) -> None:
        await self.leave_loop()
        if self.local: await self.local.close()


class StandIns:
    """The handoffs of one write: each is used once, by whichever copy needs it first."""

    def __init__(self, members: Members, ring: Ring, partition: int) -> None:
        self._members, self._rest = members, ring.handoffs(partition)

    def take(self, device: Device) -> Iterator[Device]:
        """The devices to try for one copy: its own place, then stand-ins; a suspect is skipped while there are others."""
        if not self._members.suspected(device): yield device
        tried: list[Device] = []
        for other in self._rest:
            if self._members.suspected(other): tried.append(other)
            else: yield other
        if self._members.suspected(device): yield device
        yield from tried


def down(failure: BaseException) -> bool:
    """Is it this device's trouble, so that another may do better?"""
    return isinstance(failure, NodeDown | Full)


def quorum(copies: int) -> int:
    """How many of so many copies must be written."""
    return (copies + 1) // 2


def majority(copies: int) -> int:
    """How many must say that something is not there before it is believed."""
    return copies // 2 + 1
