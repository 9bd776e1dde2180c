"""Erasure-coded objects: any k fragments give them back, failed overwrites leave the old version, lost fragments are made anew."""
from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.objectstore.loops.test_loops import flip, give_back, take_away
from tests.objectstore.storing import A, get, node, object_files, opened, options, put, working

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster.codec import SEGMENT_BYTES, Codec
from pilvi.objectstore.cluster.dispersion import dispersion
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.audit import audit
from pilvi.objectstore.loops.reconstruct import reconstruct
from pilvi.objectstore.loops.update import update
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.interface import ListQuery, NoObject, NoQuorum
from pilvi.objectstore.policies import Policy

pytestmark = pytest.mark.anyio
EC = Policy(index=1, name="ec", replicas=6, data_fragments=4)
C = "c"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def choices(devices: int = 6) -> StorageOptions:
    return options(devices, 3, policies=[Policy(index=0, name="whole", replicas=3, default=True), EC])


async def ec_store(path: Path, devices: int = 6) -> ClusterStore:
    store = await opened(path, choices(devices))
    await store.container_delete(A, C)
    await store.container_put(A, C, {}, policy=1)
    return store


async def whole(store: ClusterStore, work: Work) -> None:
    for _ in range(4):
        await reconstruct(work)
        if (found := await dispersion(store.members, 1)).complete and not found.strays: return
    raise AssertionError(found)


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=5000), st.sets(st.integers(0, 5), min_size=4, max_size=4), st.integers(0, 5))
def test_any_four_of_six_fragments_are_enough(segment: bytes, chosen: set[int], lost: int) -> None:
    codec = Codec(4, 2)
    fragments = codec.encode(segment)
    assert len(fragments[0]) == codec.fragment_bytes(len(segment))
    some = [fragments[index] for index in sorted(chosen)]
    assert codec.decode(some) == segment
    if lost not in chosen: assert codec.rebuild(some, lost) == fragments[lost]


@pytest.mark.parametrize("size", [0, 1, 5000, SEGMENT_BYTES, 3 * SEGMENT_BYTES + 17])
async def test_bytes_come_back_with_two_devices_gone(tmp_path: Path, size: int) -> None:
    store = await ec_store(tmp_path)
    content = os.urandom(size)
    written = await put(store, "o", content, policy=1, length=size, metadata={"a": "1"})
    files = object_files(tmp_path, "objects-1")
    assert len(files) == 6 and all(file.stat().st_size < size / 4 + 2000 for file in files)
    for name in ("d2", "d5"): take_away(store, name)
    assert await get(store, "o", policy=1) == content
    assert await get(store, "o", policy=1, start=size // 3, stop=size // 2) == content[size // 3:size // 2]
    info = await store.object_head(A, C, "o", policy=1)
    assert (info.size, info.etag, info.metadata) == (size, written.etag, {"a": "1"})
    _, listed = await store.container_list(A, C, ListQuery())
    assert [entry[:1] + entry[2:4] for entry in listed] == [("o", size, written.etag)]
    take_away(store, "d1")
    with pytest.raises(NoQuorum): await get(store, "o", policy=1)
    await store.close()


async def test_metadata_and_deletion(tmp_path: Path) -> None:
    store = await ec_store(tmp_path)
    await put(store, "o", b"abc", policy=1)
    await store.object_post(A, C, "o", policy=1, metadata={"b": "2"})
    assert (await store.object_head(A, C, "o", policy=1)).metadata == {"b": "2"}
    away = take_away(store, "d1")
    await store.object_delete(A, C, "o", policy=1)
    give_back(store, away)
    with pytest.raises(NoObject): await get(store, "o", policy=1)
    with working(store, choices()) as work:
        await update(work)  # a copy of the container may have been on the device that was away
        await reconstruct(work)
    assert (await store.container_stat(A, C)).objects == 0
    for name in ("d2", "d3", "d4", "d5"): take_away(store, name)
    with pytest.raises(NoObject): await get(store, "o", policy=1)
    await store.close()


async def test_an_overwrite_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    store = await ec_store(tmp_path)
    old = os.urandom(100_000)
    await put(store, "o", old, policy=1)
    gone = [take_away(store, name) for name in ("d1", "d2")]
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoQuorum): await put(store, "o", b"new" * 1000, policy=1)
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert await get(store, "o", policy=1) == old
    for device in gone: give_back(store, device)
    assert await get(store, "o", policy=1) == old
    await store.close()


async def test_a_commit_cut_short_is_completed(tmp_path: Path) -> None:
    """The proxy dies after the first of six commits: the new version counts, and the others are committed by the loop."""
    store = await ec_store(tmp_path)
    await put(store, "o", b"old", policy=1)
    real, done = node(store).call, []

    async def call(device: str, operation: str, *arguments: object) -> object:
        if operation == "fragment_commit":
            if done: raise asyncio.CancelledError
            done.append(device)
        return await real(device, operation, *arguments)

    node(store).call = call  # type: ignore[method-assign]
    with pytest.raises(BaseException): await put(store, "o", b"new", policy=1)  # noqa: B017
    node(store).call = real  # type: ignore[method-assign]
    assert len([file for file in object_files(tmp_path, "objects-1") if file.name.endswith(".new")]) == 5
    assert await get(store, "o", policy=1) == b"new"
    with working(store, choices()) as work: await whole(store, work)
    assert [file for file in object_files(tmp_path, "objects-1") if file.name.endswith(".new")] == []
    assert await get(store, "o", policy=1) == b"new"
    await store.close()


async def test_lost_and_damaged_fragments_are_made_anew(tmp_path: Path) -> None:
    store = await ec_store(tmp_path, devices=7)
    contents = {f"o{number}": os.urandom(number * 150_000) for number in range(12)}
    for name, content in contents.items(): await put(store, name, content, policy=1)
    await store.object_post(A, C, "o5", policy=1, metadata={"x": "1"})
    with working(store, choices(7)) as work:
        for name in ("d2", "d4"): give_back(store, take_away(store, name), wiped=True)
        for name, content in contents.items(): assert await get(store, name, policy=1) == content
        await whole(store, work)
        for path in {path.name[:32]: path for path in object_files(tmp_path, "objects-1") if not path.name.endswith(".meta")}.values():
            flip(path, path.stat().st_size // 2)
        for name, content in contents.items(): assert await get(store, name, policy=1) == content
        await audit(work)
        await whole(store, work)
    for name in ("d1", "d3"): take_away(store, name)
    for name, content in contents.items(): assert await get(store, name, policy=1) == content
    assert (await store.object_head(A, C, "o5", policy=1)).metadata == {"x": "1"}
    await store.close()


async def test_stand_ins_fragments_come_home(tmp_path: Path) -> None:
    store = await ec_store(tmp_path, devices=8)
    away = take_away(store, "d3")
    contents = {f"o{number}": os.urandom(20_000) for number in range(12)}
    for name, content in contents.items(): await put(store, name, content, policy=1)
    assert len(object_files(tmp_path, "objects-1")) == 72
    give_back(store, away)
    for name, content in contents.items(): assert await get(store, name, policy=1) == content
    with working(store, choices(8)) as work: await whole(store, work)
    assert len(object_files(tmp_path, "objects-1")) == 72
    await put(store, "o1", b"x", policy=1, timestamp=time.now())
    assert await get(store, "o1", policy=1) == b"x"
    await store.close()
