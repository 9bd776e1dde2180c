"""What can be done on a device, as one table: the same functions whether they are called here or from another node over HTTP.

Arguments and results are what msgpack can carry: text, numbers, bytes and the structures of interface.py. `folder` is a policy's.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from pilvi.core import clock
from pilvi.objectstore.node import account as accounts
from pilvi.objectstore.node import container as containers
from pilvi.objectstore.node import shard as shards
from pilvi.objectstore.node.account import ContainerRow
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.database import Handle, Info, Missing
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.disk import Disk, Opened
from pilvi.objectstore.node.interface import (
    AccountStat,
    ContainerStat,
    ListQuery,
    NoAccount,
    NoContainer,
    NoObject,
    ObjectInfo,
    Subdir,
)
from pilvi.objectstore.node.plan import HIDDEN, NONE, Plan, Shard
from pilvi.objectstore.node.record import Broken, Record


class Page(NamedTuple):
    """A listing as it goes over the wire: rows, and where sub-directories stand among them."""
    rows: list[tuple[Any, ...]]
    subdirs: list[int]


def _page(found: Sequence[tuple[Any, ...]]) -> Page:
    return Page([tuple(one) for one in found], [index for index, one in enumerate(found) if isinstance(one, Subdir)])


def entries(page: Page, kind: type[Any]) -> list[Any]:
    """The listing's lines again."""
    if not page.subdirs: return [kind(*row) for row in page.rows]
    marked = set(page.subdirs)
    return [Subdir(row[0]) if index in marked else kind(*row) for index, row in enumerate(page.rows)]


# -- objects

def expired(info: ObjectInfo) -> bool:
    """Is it past its x-delete-at?"""
    at = info.metadata.get("x-delete-at", "")
    return at.isdigit() and int(at) <= clock.now()


def open_object(disk: Disk, folder: str, partition: int, hashed: str, past: bool) -> Opened:
    """Opens what users may see; a damaged file is put aside, and for now not there. Raises NoObject."""
    try: found = disk.open(folder, partition, hashed)
    except Broken:
        disk.quarantine(folder, partition, hashed)
        raise NoObject(timestamp=None) from None
    if not past and expired(found.info):
        os.close(found.descriptor)
        raise NoObject(timestamp=found.info.metadata_timestamp)
    return found


def object_head(device: LocalDevice, folder: str, partition: int, hashed: str, past: bool) -> ObjectInfo:
    found = open_object(device.disk, folder, partition, hashed, past)
    os.close(found.descriptor)
    return found.info


def object_put(device: LocalDevice, folder: str, partition: int, hashed: str, record: Record, body: bytes, if_none_match: bool) -> None:
    device.disk.put(folder, partition, hashed, record, body, if_none_match=if_none_match)


def object_post(device: LocalDevice, folder: str, partition: int, hashed: str, record: Record) -> tuple[Record, ObjectInfo]:
    return device.disk.post(folder, partition, hashed, record)


def object_delete(device: LocalDevice, folder: str, partition: int, hashed: str, record: Record) -> ObjectInfo | None:
    return device.disk.delete(folder, partition, hashed, record)


def fragment_commit(device: LocalDevice, folder: str, partition: int, name: str, timestamp: int) -> Record:
    """Makes a staged fragment visible. Raises NoObject, Outdated."""
    return device.disk.promote(folder, partition, name, timestamp)


def manifest(device: LocalDevice, folder: str, partition: int, power: int) -> dict[str, int]:
    return device.disk.manifest(folder, partition, power)


def digests(device: LocalDevice, folder: str, partitions: list[int], power: int) -> dict[int, bytes]:
    """{partition of a ring of that power: digest of its manifest}: equal digests need no further look."""
    return {partition: digest(device.disk.manifest(folder, partition, power)) for partition in partitions}


def digest(files: dict[str, int]) -> bytes:
    """Of a manifest."""
    return blake2b(repr(sorted(files.items())).encode(), digest_size=16).digest() if files else b""


def check_room(device: LocalDevice) -> None:
    """Raises Full."""
    device.disk.check_room()


# -- containers

def container_put(device: LocalDevice, partition: int, hashed: str, account: str, container: str, timestamp: int,
                  metadata: dict[str, str], policy: int | None, default: int) -> bool:
    handle = device.containers.create(partition, hashed, account, container)
    return containers.put(handle, timestamp, metadata, policy, default)


def container_post(device: LocalDevice, partition: int, hashed: str, timestamp: int, metadata: dict[str, str]) -> None:
    try: containers.post(device.containers.handle(partition, hashed), timestamp, metadata)
    except Missing: raise NoContainer(timestamp=None) from None


def container_delete(device: LocalDevice, partition: int, hashed: str, timestamp: int) -> None:
    try: containers.delete(device.containers.handle(partition, hashed), timestamp)
    except Missing: raise NoContainer(timestamp=None) from None


def container_stat(device: LocalDevice, partition: int, hashed: str) -> ContainerStat:
    try: return containers.stat(device.containers.handle(partition, hashed))
    except Missing: raise NoContainer(timestamp=None) from None


def container_list(device: LocalDevice, partition: int, hashed: str, query: ListQuery) -> tuple[ContainerStat, Page]:
    try: stat, found = containers.list_(device.containers.handle(partition, hashed), query)
    except Missing: raise NoContainer(timestamp=None) from None
    return stat, _page(found)


def container_merge(device: LocalDevice, partition: int, hashed: str, account: str, container: str, rows: list[ObjectRow]) -> None:
    """A row of an object. A hidden account's containers, but for shards, are made when they are first told of something. Raises
    NoContainer, Moved."""
    try: handle = device.containers.handle(partition, hashed)
    except Missing:
        if not account.startswith(".") or account.startswith(HIDDEN): raise NoContainer(timestamp=None) from None
        handle = device.containers.create(partition, hashed, account, container)
        containers.put(handle, min(row.timestamp for row in rows), {}, None, 0)
    containers.check_moved(handle, rows[0].name)
    containers.merge(handle, rows)


# -- shards

def shard_make(device: LocalDevice, partition: int, hashed: str, account: str, container: str, at: int, policy: int, root: list[str],
               parent: list[str]) -> None:
    """Makes a shard. Repeatable."""
    shards.found(device.containers.create(partition, hashed, account, container), at, policy, root, parent)


def shard_plan(device: LocalDevice, partition: int, hashed: str, plan: Plan) -> Plan:
    """Merges a plan into the one that a container has; the outcome. Raises NoContainer."""
    return shards.set_plan(_container(device, partition, hashed), plan)


def shard_known(device: LocalDevice, partition: int, hashed: str) -> Plan:
    """The plan of a container that is not retired. Raises NoContainer."""
    info = _container(device, partition, hashed).info()
    return NONE if info.details.get("retired") else containers.plan_of(info)


def shard_take(device: LocalDevice, partition: int, hashed: str, rows: list[ObjectRow], settle: bool) -> None:
    """Rows that another container gives it, whatever range they are of. `settle`: and all of them are to be durable. Raises
    NoContainer."""
    handle = _container(device, partition, hashed)
    if rows: containers.merge(handle, rows)
    if settle: shards.settle(handle)


def shard_replace(device: LocalDevice, partition: int, hashed: str, old: str, new: list[Shard], at: int) -> bool:
    """Puts shards in the place of one; False: it's none of this container's. Raises NoContainer."""
    return shards.replace(_container(device, partition, hashed), old, new, at)


def shard_report(device: LocalDevice, partition: int, hashed: str, name: str, objects: int, size: int, at: int) -> bool:
    """How much a shard holds; False: it's none of this container's. Raises NoContainer."""
    return shards.report(_container(device, partition, hashed), name, objects, size, at)


def shard_retire(device: LocalDevice, partition: int, hashed: str, at: int) -> bool:
    """Nobody asks it any more; False while it has rows. Raises NoContainer."""
    return shards.retire(_container(device, partition, hashed), at)


def _container(device: LocalDevice, partition: int, hashed: str) -> Handle:
    try: return device.containers.handle(partition, hashed)
    except Missing: raise NoContainer(timestamp=None) from None


# -- accounts

def account_put(device: LocalDevice, partition: int, hashed: str, account: str, timestamp: int, metadata: dict[str, str]) -> bool:
    return accounts.put(device.accounts.create(partition, hashed, account, ""), timestamp, metadata)


def account_post(device: LocalDevice, partition: int, hashed: str, timestamp: int, metadata: dict[str, str]) -> None:
    try: accounts.post(device.accounts.handle(partition, hashed), timestamp, metadata)
    except Missing: raise NoAccount(deleted=False) from None


def account_delete(device: LocalDevice, partition: int, hashed: str, timestamp: int) -> None:
    try: accounts.delete(device.accounts.handle(partition, hashed), timestamp)
    except Missing: raise NoAccount(deleted=False) from None


def account_stat(device: LocalDevice, partition: int, hashed: str) -> AccountStat:
    try: return accounts.stat(device.accounts.handle(partition, hashed))
    except Missing: raise NoAccount(deleted=False) from None


def account_list(device: LocalDevice, partition: int, hashed: str, query: ListQuery) -> tuple[AccountStat, Page]:
    try: stat, found = accounts.list_(device.accounts.handle(partition, hashed), query)
    except Missing: raise NoAccount(deleted=False) from None
    return stat, _page(found)


def account_rows(device: LocalDevice, partition: int, hashed: str, query: ListQuery) -> Page:
    """The containers of an account that may be deleted."""
    try: return _page(accounts.rows(device.accounts.handle(partition, hashed), query))
    except Missing: raise NoAccount(deleted=False) from None


def account_merge(device: LocalDevice, partition: int, hashed: str, account: str, rows: list[ContainerRow]) -> None:
    """Container rows. A hidden account is made when it's first told of something. Raises NoAccount."""
    try: handle = device.accounts.handle(partition, hashed)
    except Missing:
        if not account.startswith("."): raise NoAccount(deleted=False) from None
        handle = device.accounts.create(partition, hashed, account, "")
        accounts.put(handle, min(row.created for row in rows), {})
    accounts.merge(handle, rows)


def account_reaped(device: LocalDevice, partition: int, hashed: str, deleted: int) -> None:
    try: accounts.reaped(device.accounts.handle(partition, hashed), deleted)
    except Missing: pass


# -- copies of databases

def database_ids(device: LocalDevice, kind: str, places: list[tuple[int, str]]) -> list[str]:
    """The ids of databases, "" for one that is not here: another id means that a copy was made anew and must be told everything."""
    return [device.databases(kind).id_of(*place) for place in places]


def database_merge(device: LocalDevice, kind: str, partition: int, hashed: str, info: Info, rows: list[tuple[Any, ...]]) -> str:
    """Takes over another copy's facts and rows; makes the database if it isn't here. Returns this copy's id."""
    handle = device.databases(kind).create(partition, hashed, info.account, info.container)
    if kind == "container":
        containers.merge_info(handle, info)
        containers.merge(handle, [ObjectRow(*row) for row in rows])
    else:
        accounts.merge_info(handle, info)
        accounts.merge(handle, [ContainerRow(*row) for row in rows])
    return handle.info().id


OPERATIONS: dict[str, Callable[..., Any]] = {function.__name__: function for function in (
    object_head, object_put, object_post, object_delete, fragment_commit, manifest, digests, check_room, container_put, container_post,
    container_delete, container_stat, container_list, container_merge, shard_make, shard_plan, shard_known, shard_take, shard_replace,
    shard_report, shard_retire, account_put, account_post, account_delete, account_stat, account_list, account_rows, account_merge,
    account_reaped, database_ids, database_merge)}
CHANGING = ("object_put", "object_post", "object_delete", "fragment_commit")
"""Those that change an object; called on a node they take one argument more, the list of the container's copies to tell."""
