"""The store the proxy calls: interface.py's `Store`, over rings and nodes."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster import databases, shards
from pilvi.objectstore.cluster.erasure_read import CodedReader, CodedReading
from pilvi.objectstore.cluster.erasure_write import CodedWriting
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.cluster.read import ObjectReader, Reading
from pilvi.objectstore.cluster.write import WHOLE_BYTES, Body, Writing, seal
from pilvi.objectstore.node.account import ContainerRow
from pilvi.objectstore.node.interface import (
    AccountStat,
    ContainerEntry,
    ContainerStat,
    Footer,
    Listed,
    ListQuery,
    NoObject,
    ObjectEntry,
    ObjectInfo,
    Subdir,
    Written,
)
from pilvi.objectstore.node.operations import entries
from pilvi.objectstore.node.record import Kind, Record
from pilvi.objectstore.policies import Policies


class DatabaseStore:
    """The part of it that is about accounts and containers."""

    def __init__(self, members: Members) -> None:
        self.members = members

    @property
    def policies(self) -> Policies:
        return self.members.policies

    # -- accounts

    async def account_put(self, account: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> bool:
        at = timestamp or time.now()
        return bool(await databases.write(self.members, "account", (account,), "account_put", account, at, dict(metadata), stand_ins=True))

    async def account_post(self, account: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> None:
        await databases.write(self.members, "account", (account,), "account_post", timestamp or time.now(), dict(metadata))

    async def account_delete(self, account: str, *, timestamp: int | None = None) -> None:
        await databases.write(self.members, "account", (account,), "account_delete", timestamp or time.now())

    async def account_stat(self, account: str) -> AccountStat:
        found: AccountStat = await databases.read(self.members, "account", (account,), "account_stat")
        return found

    async def account_list(self, account: str, query: ListQuery) -> tuple[AccountStat, list[ContainerEntry | Subdir]]:
        stat, page = await databases.read(self.members, "account", (account,), "account_list", query)
        return stat, entries(page, ContainerEntry)

    # -- containers

    async def container_put(self, account: str, container: str, metadata: Mapping[str, str], *, policy: int | None = None,
                            timestamp: int | None = None) -> bool:
        at = timestamp or time.now()
        fresh = bool(await databases.write(self.members, "container", (account, container), "container_put", account, container, at,
                                           dict(metadata), policy, self.policies.default.index, stand_ins=True))
        if fresh:
            row = ContainerRow(container, at, 0, counted=0, policy=policy if policy is not None else self.policies.default.index)
            await databases.write(self.members, "account", (account,), "account_merge", account, [row])
        return fresh

    async def container_post(self, account: str, container: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> None:
        await databases.write(self.members, "container", (account, container), "container_post", timestamp or time.now(), dict(metadata))

    async def container_delete(self, account: str, container: str, *, timestamp: int | None = None) -> None:
        at = timestamp or time.now()
        await shards.recount(self.members, account, container)
        await databases.write(self.members, "container", (account, container), "container_delete", at)
        await databases.write(self.members, "account", (account,), "account_merge", account, [ContainerRow(container, 0, at)])

    async def container_stat(self, account: str, container: str) -> ContainerStat:
        found: ContainerStat = await databases.read(self.members, "container", (account, container), "container_stat")
        return found

    async def container_list(self, account: str, container: str, query: ListQuery) -> tuple[ContainerStat, list[ObjectEntry | Subdir]]:
        return await shards.container_list(self.members, account, container, query)


class ClusterStore(DatabaseStore):
    """`Store` over the members of a cluster."""

    async def object_put(self, account: str, container: str, name: str, body: AsyncIterator[bytes], *, policy: int, content_type: str,
                         metadata: Mapping[str, str], sysmeta: Mapping[str, str], length: int | None = None, etag: str | None = None,
                         listed: Listed | None = None, footer: Callable[[Written], Footer] | None = None, if_none_match: bool = False,
                         timestamp: int | None = None) -> Written:
        record = Record(Kind.DATA, account, container, name, timestamp or time.now(), content_type=content_type, metadata=dict(metadata),
                        sysmeta=dict(sysmeta))
        incoming = Body(body, length, etag)
        first = await incoming.piece(WHOLE_BYTES)
        finish = partial(seal, record, listed=listed, footer=footer)
        writing = self.writing(policy, account, container, name)
        if isinstance(writing, CodedWriting): return await writing.put(incoming, first, record, finish, if_none_match)
        if not incoming.ended: return await writing.stream(incoming, first, record, finish, if_none_match)
        await incoming.hash(first)
        written = incoming.written()
        finish(written)
        await writing.each("object_put", record, first, if_none_match)
        return written

    async def object_get(self, account: str, container: str, name: str, *, policy: int, newest: bool = False,
                         expired: bool = False) -> ObjectReader | CodedReader:
        return await self._reading(policy, account, container, name, expired).open(newest)

    async def object_head(self, account: str, container: str, name: str, *, policy: int, newest: bool = False,
                          expired: bool = False) -> ObjectInfo:
        return await self._reading(policy, account, container, name, expired).head(newest)

    async def object_post(self, account: str, container: str, name: str, *, policy: int, metadata: Mapping[str, str],
                          content_type: str | None = None, timestamp: int | None = None) -> None:
        record = Record(Kind.POSTED, account, container, name, timestamp or time.now(), content_type=content_type, metadata=dict(metadata))
        await self.writing(policy, account, container, name).each("object_post", record)

    async def object_delete(self, account: str, container: str, name: str, *, policy: int, timestamp: int | None = None) -> None:
        record = Record(Kind.TOMBSTONE, account, container, name, timestamp or time.now())
        before = await self.writing(policy, account, container, name).each("object_delete", record)
        if not any(before): raise NoObject(timestamp=record.timestamp)

    def writing(self, policy: int, *path: str) -> Writing | CodedWriting:
        """A write of an object, as its policy does it."""
        account, container, name = path
        if self.policies[policy].erasure_coded: return CodedWriting(self.members, self.policies[policy], (account, container, name))
        return Writing(self.members, self.members.ring_of(policy), self.policies[policy].folder, (account, container, name))

    def _reading(self, policy: int, account: str, container: str, name: str, past: bool) -> Reading | CodedReading:
        if self.policies[policy].erasure_coded: return CodedReading(self.members, self.policies[policy], (account, container, name), past)
        return Reading(self.members, self.members.ring_of(policy), self.policies[policy].folder, (account, container, name), past)

    async def close(self) -> None:
        await self.members.close()


