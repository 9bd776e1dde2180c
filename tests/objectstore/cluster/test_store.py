"""The store on one device and on three: what was written is read, newest wins, and what breaks stays invisible."""
from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.objectstore.storing import A, C, get, node, object_files, opened, options, put

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.node.interface import (
    EtagDiffers,
    Exists,
    Footer,
    Full,
    Listed,
    ListQuery,
    NoAccount,
    NoContainer,
    NoObject,
    NotEmpty,
    ObjectEntry,
    Outdated,
    PolicyDiffers,
    Truncated,
)

pytestmark = pytest.mark.anyio
SHAPES = [(1, 1), (3, 3)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(("devices", "replicas"), SHAPES)
@pytest.mark.parametrize("size", [0, 1, 70_000, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 17])
async def test_bytes_come_back(tmp_path: Path, devices: int, replicas: int, size: int) -> None:
    store = await opened(tmp_path, options(devices, replicas))
    content = os.urandom(size)
    written = await put(store, "o", content, metadata={"x-object-meta-a": "ä"}, sysmeta={"s": "1"}, length=size)
    assert written.size == size
    assert await get(store, "o") == content
    assert await get(store, "o", start=size // 3, stop=size // 2 + 1) == content[size // 3:size // 2 + 1]
    info = await store.object_head(A, C, "o", policy=0, newest=True)
    assert (info.size, info.etag, info.metadata, info.sysmeta) == (size, written.etag, {"x-object-meta-a": "ä"}, {"s": "1"})
    assert len(object_files(tmp_path)) == replicas
    stat, listed = await store.container_list(A, C, ListQuery())
    assert (stat.objects, stat.size) == (1, size)
    assert listed == [ObjectEntry("o", info.timestamp, size, written.etag, "text/plain")]
    await store.close()


async def test_newest_wins_whatever_the_order(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    t = time.now()
    await put(store, "o", b"new", timestamp=t + 10)
    with pytest.raises(Outdated) as failure: await put(store, "o", b"old", timestamp=t)
    assert failure.value.facts["timestamp"] == t + 10
    with pytest.raises(Outdated): await store.object_delete(A, C, "o", policy=0, timestamp=t + 5)
    await store.object_delete(A, C, "o", policy=0, timestamp=t + 20)
    with pytest.raises(Outdated): await put(store, "o", b"late", timestamp=t + 15)
    with pytest.raises(NoObject): await get(store, "o")
    await put(store, "o", b"newer", timestamp=t + 30)
    assert await get(store, "o") == b"newer"
    assert (await store.container_stat(A, C)).objects == 1
    await store.close()


async def test_post_replaces_metadata_and_keeps_sysmeta(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    await put(store, "o", b"x", metadata={"a": "1"}, sysmeta={"s": "1"})
    await store.object_post(A, C, "o", policy=0, metadata={"b": "2"})
    info = await store.object_head(A, C, "o", policy=0)
    assert (info.metadata, info.sysmeta, info.content_type) == ({"b": "2"}, {"s": "1"}, "text/plain")
    await store.object_post(A, C, "o", policy=0, metadata={}, content_type="image/png")
    info = await store.object_head(A, C, "o", policy=0)
    _, listed = await store.container_list(A, C, ListQuery())
    assert listed == [ObjectEntry("o", info.metadata_timestamp, 1, info.etag, "image/png")]
    await put(store, "o", b"again")
    assert len(object_files(tmp_path)) == 1
    with pytest.raises(NoObject): await store.object_post(A, C, "none", policy=0, metadata={})
    await store.close()


async def test_a_bad_body_leaves_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path, options(3, 3))

    async def cut(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        raise ConnectionResetError("the client went away")

    await store.container_stat(A, C)
    descriptors = len(os.listdir("/proc/self/fd"))
    for size in (10, 2 << 20):
        with pytest.raises(ConnectionResetError):
            await store.object_put(A, C, "o", cut(size), policy=0, content_type="", metadata={}, sysmeta={})
        with pytest.raises(Truncated): await put(store, "o", b"x" * size, length=size + 1)
        with pytest.raises(Truncated): await put(store, "o", b"x" * size, length=size - 1)
        with pytest.raises(EtagDiffers): await put(store, "o", b"x" * size, etag="0" * 32)
    assert object_files(tmp_path) == []
    assert list(tmp_path.glob("devices/*/tmp/*")) == []
    assert (await store.container_stat(A, C)).objects == 0
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    await store.close()


async def test_conditions_footers_and_what_is_listed(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    await put(store, "o", b"abc", if_none_match=True, footer=lambda written: Footer({"sealed": written.etag}, Listed("e", 7, "t"), "shown"))
    with pytest.raises(Exists): await put(store, "o", b"abc", if_none_match=True)
    info = await store.object_head(A, C, "o", policy=0)
    assert (info.etag, info.sysmeta, info.size) == ("shown", {"sealed": "900150983cd24fb0d6963f7d28e17f72"}, 3)
    _, listed = await store.container_list(A, C, ListQuery())
    assert listed == [ObjectEntry("o", info.timestamp, 7, "e", "t")]
    await store.object_post(A, C, "o", policy=0, metadata={})
    _, listed = await store.container_list(A, C, ListQuery())
    assert [entry[2:] for entry in listed] == [(7, "e", "t")]
    await store.object_delete(A, C, "o", policy=0)
    await put(store, "o", b"abc", if_none_match=True)
    await store.close()


async def test_a_full_device_takes_nothing_but_gives_and_deletes(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    await put(store, "o", b"abc")
    node(store).devices["d1"].disk.reserve_bytes = 1 << 60
    node(store).devices["d1"].disk._room = (0.0, True)
    for size in (3, 2 << 20):
        with pytest.raises(Full): await put(store, "p", b"x" * size)
    assert await get(store, "o") == b"abc"
    await store.object_delete(A, C, "o", policy=0)
    await store.close()


async def test_containers(tmp_path: Path) -> None:
    store = await opened(tmp_path, options(3, 3))
    assert not await store.container_put(A, C, {"x-container-meta-a": "1"})
    await store.container_post(A, C, {"x-container-meta-b": "2", "x-container-meta-a": ""})
    assert (await store.container_stat(A, C)).metadata == {"x-container-meta-b": "2"}
    with pytest.raises(PolicyDiffers): await store.container_put(A, C, {}, policy=1)
    await put(store, "o", b"abc")
    with pytest.raises(NotEmpty): await store.container_delete(A, C)
    await store.object_delete(A, C, "o", policy=0)
    await store.container_delete(A, C)
    for act in (store.container_stat(A, C), store.container_delete(A, C), store.container_list(A, C, ListQuery())):
        with pytest.raises(NoContainer): await act
    assert await store.container_put(A, C, {})
    assert (await store.container_stat(A, C)).metadata == {}
    await store.close()


async def test_accounts(tmp_path: Path) -> None:
    store = await opened(tmp_path, options(3, 3))
    with pytest.raises(NoAccount): await store.account_stat("AUTH_other")
    await store.account_post(A, {"x-account-meta-a": "1"})
    stat, listed = await store.account_list(A, ListQuery())
    assert (stat.containers, stat.metadata) == (1, {"x-account-meta-a": "1"})
    assert [(entry.name, *entry[2:]) for entry in listed] == [(C, 0, 0, 0)]
    await store.account_delete(A)
    with pytest.raises(NoAccount) as failure: await store.account_stat(A)
    assert failure.value.facts["deleted"]
    with pytest.raises(NoAccount): await store.account_put(A, {})
    await store.close()


async def test_everything_survives_the_process(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    await put(store, "o", b"abc")
    await store.close()
    again = await opened(tmp_path, options())
    assert await get(again, "o") == b"abc"
    assert (await again.container_stat(A, C)).objects == 1
    await again.close()


async def test_a_hundred_writers_share_transactions(tmp_path: Path) -> None:
    store = await opened(tmp_path, options())
    await asyncio.gather(*(put(store, f"o{number % 60}", b"x" * number) for number in range(100)), return_exceptions=True)
    stat, listed = await store.container_list(A, C, ListQuery())
    assert stat.objects == len(listed) == 60
    assert stat.size == sum(entry.size for entry in listed if isinstance(entry, ObjectEntry))
    await store.close()


