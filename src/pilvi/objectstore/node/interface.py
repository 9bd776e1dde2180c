"""What the proxy calls (`Store`), what a node offers it (`Node`), and the values and failures of both.

`Store` is the whole cluster: it finds the devices in the ring, writes to a quorum, reads from the next replica when one fails.
A store is opened by `cluster/open.py`: `open_store(directory, options)`; with one replica on one device unless options say otherwise.
`Node` is one process with devices; `node/local.py` calls straight into the disk, `node/remote.py` speaks HTTP to another process.

Names (account, container, object) are text without percent-encoding. Timestamps are ticks of 10 µs (`timestamp.py`); where one may be None
it is the present. Header-like names in `metadata` and `sysmeta` are in lower case. All methods may be called from any task of one event
loop; blocking work is done in threads below.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from pilvi.core.errors import Conflict, Failure, NotFound, PreconditionFailed, Unavailable
from pilvi.objectstore.node.plan import Shard
from pilvi.objectstore.node.record import Record
from pilvi.objectstore.policies import Policies

LISTING_LIMIT = 10_000


# -- failures

class NoAccount(NotFound):
    """The account does not exist (or was deleted: `deleted` in facts is then True, and it can't be made anew until it is reaped)."""


class NoContainer(NotFound):
    """The container does not exist."""


class NoObject(NotFound):
    """The object does not exist. Facts: `timestamp` of its tombstone, or None."""


class NotEmpty(Conflict):
    """There are objects in the container."""


class Moved(Conflict):
    """Another container lists that object. Facts: `container`, in the hidden account of shards."""


class Outdated(Conflict):
    """Something newer is stored there. Facts: `timestamp` (ticks) of what is stored."""


class PolicyDiffers(Conflict):
    """The container exists with another storage policy. Facts: `policy`, the index it has."""


class Exists(PreconditionFailed):
    """The object exists, and the request wants that it does not (`If-None-Match: *`)."""


class EtagDiffers(Failure):
    """The body's MD5 is not the one that was announced."""
    status = 422


class Truncated(Failure):
    """The client ended the body before its announced length."""
    status = 499


class Full(Failure):
    """There is not enough room on the devices."""
    status = 507


class NodeDown(Unavailable):
    """The node or its device does not answer: {reason}"""


class NoQuorum(Unavailable):
    """Too few devices answered: {reason}"""


# -- values

class Written(NamedTuple):
    """What a body was: MD5 in hex, and its bytes."""
    etag: str
    size: int


class Listed(NamedTuple):
    """What a container's listing shall say of an object when that is not what is stored (encryption, large-object manifests)."""
    etag: str | None = None
    size: int | None = None
    content_type: str | None = None


class Footer(NamedTuple):
    """What only the end of the body tells. `etag`: what GET shall give as the object's etag instead of the stored bytes' MD5."""
    sysmeta: Mapping[str, str] = {}
    listed: Listed | None = None
    etag: str | None = None


class ObjectInfo(Struct, frozen=True, kw_only=True):
    """An object as stored. `metadata` is replaced as a whole by a POST; `sysmeta` stays as it was put."""
    timestamp: int
    """Of the data (the PUT)."""
    size: int
    etag: str
    content_type: str
    metadata: dict[str, str]
    sysmeta: dict[str, str]
    metadata_timestamp: int
    """Of the newest POST, or of the PUT: this is X-Timestamp and Last-Modified."""
    content_type_timestamp: int


class ListQuery(Struct, frozen=True, kw_only=True):
    """What a listing is asked for; the API's parameters of the same names. `path` is None when not given. `reserved`: show also names with
    NUL in front (versions), which only middleware asks for."""
    limit: int = LISTING_LIMIT
    marker: str = ""
    end_marker: str = ""
    prefix: str = ""
    delimiter: str = ""
    path: str | None = None
    reverse: bool = False
    reserved: bool = False
    above: str = ""
    upto: str = ""
    """Of a shard: only names after `above` and up to, with, `upto`; unlike markers these are no place where an earlier page ended."""


class ObjectEntry(NamedTuple):
    """A line of a container's listing. `timestamp` is the newest of PUT and POST."""
    name: str
    timestamp: int
    size: int
    etag: str
    content_type: str


class ContainerEntry(NamedTuple):
    """A line of an account's listing. `timestamp`: when it was made."""
    name: str
    timestamp: int
    objects: int
    size: int
    policy: int


class Subdir(NamedTuple):
    """A line that stands for all names that begin with `name` (which ends with the delimiter)."""
    name: str


class ContainerStat(Struct, frozen=True, kw_only=True):
    """A container. `metadata` holds what is set now (x-container-meta-…, x-container-sysmeta-…, x-container-read …)."""
    created: int
    """X-Timestamp."""
    changed: int
    """Last-Modified: its newest PUT or POST."""
    objects: int
    size: int
    policy: int
    metadata: dict[str, str]
    sharded: bool = False
    shards: list[Shard] = []
    """Only in answers to a listing, which then has no lines: where they are."""


class AccountStat(Struct, frozen=True, kw_only=True):
    """An account. `by_policy`: {policy index: (containers, objects, bytes)}."""
    created: int
    changed: int
    containers: int
    objects: int
    size: int
    by_policy: dict[int, tuple[int, int, int]]
    metadata: dict[str, str]


# -- the cluster

class Reader(Protocol):
    """An object opened for reading: its bytes stay as they are, whatever is written meanwhile. Close it."""
    info: ObjectInfo

    def read(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop` in pieces of up to 1 MiB, each checked against what was written; goes on with
        the next replica when one fails.
        May be called again and again (multi-range). Raises NoQuorum when no replica can go on."""

    async def close(self) -> None:
        """Gives the descriptors and connections back. May be called twice."""


class Store(Protocol):
    """The cluster, as the proxy sees it. Metadata given to accounts and containers is merged: a name with the value "" is removed, names
    not given stay."""

    @property
    def policies(self) -> Policies: ...

    async def account_put(self, account: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> bool:
        """Makes or changes an account; True: it is new. Raises NoAccount(deleted=True) when it waits to be reaped."""

    async def account_post(self, account: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> None:
        """Changes its metadata. Raises NoAccount."""

    async def account_delete(self, account: str, *, timestamp: int | None = None) -> None:
        """Marks it deleted; a loop removes its containers and objects. Raises NoAccount."""

    async def account_stat(self, account: str) -> AccountStat:
        """Raises NoAccount (facts: deleted)."""

    async def account_list(self, account: str, query: ListQuery) -> tuple[AccountStat, list[ContainerEntry | Subdir]]:
        """The account and a page of its containers. Raises NoAccount."""

    async def container_put(self, account: str, container: str, metadata: Mapping[str, str], *, policy: int | None = None,
                            timestamp: int | None = None) -> bool:
        """Makes or changes a container; True: it is new. `policy` None: the default for a new one, unchanged for an old one. The account
        must exist. Raises PolicyDiffers."""

    async def container_post(self, account: str, container: str, metadata: Mapping[str, str], *, timestamp: int | None = None) -> None:
        """Changes its metadata. Raises NoContainer."""

    async def container_delete(self, account: str, container: str, *, timestamp: int | None = None) -> None:
        """Raises NoContainer, NotEmpty."""

    async def container_stat(self, account: str, container: str) -> ContainerStat:
        """Raises NoContainer."""

    async def container_list(self, account: str, container: str, query: ListQuery) -> tuple[ContainerStat, list[ObjectEntry | Subdir]]:
        """The container and a page of its objects (shards are put together). Raises NoContainer."""

    async def object_put(self, account: str, container: str, name: str, body: AsyncIterator[bytes], *, policy: int, content_type: str,
                         metadata: Mapping[str, str], sysmeta: Mapping[str, str], length: int | None = None, etag: str | None = None,
                         listed: Listed | None = None, footer: Callable[[Written], Footer] | None = None, if_none_match: bool = False,
                         timestamp: int | None = None) -> Written:
        """Stores a body; when this returns, a quorum of copies is on disk (fsync) and it is listed or will be; before that it's invisible.

        What `body` raises ends the upload and is raised again, nothing is left. `length`: what was announced, checked (Truncated; more is
        Truncated as well). `etag`: what was announced, checked (EtagDiffers). `footer` is called at the end of the body, may raise to end
        the upload, and adds to sysmeta and listed. `metadata["x-delete-at"]` (whole seconds) is heeded: from then on the object is gone and
        the expirer removes it; so it is in object_post. Raises Outdated, Exists (with if_none_match), Full, NoQuorum.
        """

    async def object_get(self, account: str, container: str, name: str, *, policy: int, newest: bool = False,
                         expired: bool = False) -> Reader:
        """Opens an object. `newest`: ask all replicas and take the newest; `expired`: even if it's past its x-delete-at. Raises NoObject,
        NoQuorum."""

    async def object_head(self, account: str, container: str, name: str, *, policy: int, newest: bool = False,
                          expired: bool = False) -> ObjectInfo:
        """As object_get, without the bytes."""

    async def object_post(self, account: str, container: str, name: str, *, policy: int, metadata: Mapping[str, str],
                          content_type: str | None = None, timestamp: int | None = None) -> None:
        """Replaces the metadata (not the sysmeta), and the content type when given. Raises NoObject, Outdated."""

    async def object_delete(self, account: str, container: str, name: str, *, policy: int, timestamp: int | None = None) -> None:
        """Removes it: a tombstone is left so that an absent copy can't come back. Raises NoObject (the tombstone is written even so),
        Outdated."""

    async def close(self) -> None:
        """Ends connections and threads."""


# -- a node, as the cluster sees it

class Uploading(Protocol):
    """An object being written on one device; visible only by `commit`."""

    async def write(self, piece: bytes) -> None: ...

    async def commit(self, record: Record, if_none_match: bool, tell: list[int]) -> None:
        """Makes it durable and visible, and tells the container's copies of these numbers. Raises Outdated, Exists, Full."""

    async def abort(self) -> None:
        """Leaves nothing. May be called after commit."""


class Source(Protocol):
    """A file of one device, open for reading. `head` holds all bytes of a small one."""
    record: Record
    info: ObjectInfo
    head: bytes

    def read(self, start: int, stop: int) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Node(Protocol):
    """A process with devices. All raise NodeDown when it can't be reached, and the failures above."""

    async def call(self, device: str, operation: str, *arguments: Any) -> Any:
        """Does one of operations.py's OPERATIONS. Those that change an object take one argument more, the list of the container's copies
        to tell."""

    async def upload(self, device: str, folder: str, partition: int, hashed: str) -> Uploading: ...

    async def open(self, device: str, folder: str, partition: int, hashed: str, past: bool) -> Source: ...

    async def close(self) -> None: ...
