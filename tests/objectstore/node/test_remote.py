"""Nodes in other processes: the same store over HTTP, signatures, and what is broken off in the middle."""
from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.objectstore.storing import A, C, get, put
from tests.outside.clouds import free_port

from pilvi.core import errors
from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.run import Loops
from pilvi.objectstore.node import update, wire
from pilvi.objectstore.node.interface import ListQuery, NodeDown, NoObject, Outdated
from pilvi.objectstore.ring import build, file

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may stand still for the two seconds after which containers are told later."""
    monkeypatch.setattr(update, "TELL_SECONDS", 60.0)


@asynccontextmanager
async def cluster(path: Path, nodes: int = 3, replicas: int = 3) -> AsyncIterator[tuple[ClusterStore, list[Loops], list[ClusterStore]]]:
    """A proxy without devices and nodes with one each, all in this process but speaking HTTP."""
    choices = StorageOptions(devices=0, replicas=replicas, partition_power=4, reserve_bytes=0, replicate_seconds=0)
    proxy, ports = path / "proxy", [free_port() for _ in range(nodes)]
    (proxy / "rings").mkdir(parents=True)
    for name in ("account", "container", "object"): file.save(build.empty(4, replicas, min_part_hours=0), proxy / "rings" / f"{name}.ring")
    for number, port in enumerate(ports): administer.add(proxy, f"n{number}", f"http://127.0.0.1:{port}", {"d1": 100.0}, zone=number)
    administer.rebalance(proxy)
    store = open_store(proxy, choices, own="proxy")
    loops, stores = [], []
    for number, port in enumerate(ports):
        home = path / f"n{number}"
        told = administer.accept(home, administer.node_file(proxy, f"n{number}", f"127.0.0.1:{port}", choices))
        stores.append(open_store(home, told.storage, own=told.name))
        loops.append(Loops(stores[-1], told.storage, home).start())
    await store.account_put(A, {})
    await store.container_put(A, C, {})
    try: yield store, loops, stores
    finally:
        await store.close()
        for one in loops: await asyncio.to_thread(one.stop)
        for other in stores: await other.close()


async def test_everything_works_over_http(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (store, _, _):
        for size in (0, 5000, 100_000, 3_000_000):
            content = os.urandom(size)
            await put(store, "o", content, length=size, metadata={"x-object-meta-a": "1"})
            assert await get(store, "o") == content
            assert await get(store, "o", start=size // 3, stop=size // 2) == content[size // 3:size // 2]
        await store.object_post(A, C, "o", policy=0, metadata={"x-object-meta-b": "ö"}, content_type="a/b")
        info = await store.object_head(A, C, "o", policy=0, newest=True)
        assert (info.metadata, info.content_type) == ({"x-object-meta-b": "ö"}, "a/b")
        stat, listed = await store.container_list(A, C, ListQuery(delimiter="/"))
        assert (stat.objects, listed[0].name) == (1, "o")
        with pytest.raises(Outdated) as failure: await put(store, "o", b"x", timestamp=5)
        assert failure.value.facts["timestamp"] == info.timestamp
        await store.object_delete(A, C, "o", policy=0)
        with pytest.raises(NoObject): await get(store, "o")
        assert (await store.account_list(A, ListQuery()))[0].containers == 1


async def test_a_body_that_breaks_off_leaves_nothing_on_any_node(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(40): yield b"x" * 65536
        raise ConnectionResetError

    async with cluster(tmp_path) as (store, _, _):
        with pytest.raises(ConnectionResetError):
            await store.object_put(A, C, "o", broken(), policy=0, content_type="", metadata={}, sysmeta={})
        end = time.monotonic() + 60
        while list(tmp_path.glob("n*/devices/*/tmp/*")) and time.monotonic() < end: await asyncio.sleep(0.05)
        assert list(tmp_path.glob("n*/devices/*/tmp/*")) == []
        assert [path for path in tmp_path.glob("n*/devices/*/objects/*/*") if path.is_file()] == []


async def test_a_node_that_goes_away_is_done_without(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (store, loops, _):
        content = os.urandom(2_000_000)
        await put(store, "o", content)
        reader = await store.object_get(A, C, "o", policy=0)
        await asyncio.to_thread(loops[0].stop)
        assert b"".join([piece async for piece in reader.read()]) == content
        await reader.close()
        for size in (10, 2_000_000):
            await put(store, f"p{size}", content[:size])
            assert await get(store, f"p{size}") == content[:size]
        loops.pop(0)


async def test_newer_rings_reach_the_nodes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (store, loops, stores):
        own = Loops(store, StorageOptions(devices=0, replicate_seconds=0), tmp_path / "proxy")
        administer.weigh(tmp_path / "proxy", "n0", "", 50.0)
        administer.rebalance(tmp_path / "proxy")
        await own._join(own.work)
        own.work.close()
        assert {other.members.rings["object"].version for other in stores} == {2}
        assert file.load(tmp_path / "n1/rings/object.ring").version == 2
        assert len(loops) == 3


async def test_only_the_clusters_secret_opens_a_node(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=1, replicas=1) as (store, _, _):
        device = store.members.ring_of(0).nodes(0)[0]
        path, body = "/call/d1/check_room", wire.encode([])
        key = wire.node_key(store.members.key)
        cases = {wire.sign(key, "POST", path, body): 200, "": 401, "1.2.3": 401, wire.sign(b"other", "POST", path, body): 401,
                 wire.sign(key, "GET", path, body): 401, wire.sign(key, "POST", path, b"other"): 401}
        async with aiohttp.ClientSession() as session:
            for signature, status in cases.items():
                async with session.post(device.url + path, data=body, headers={wire.SIGNATURE: signature}) as response:
                    assert response.status == status, signature
            for odd in ("/call/d1/close", "/call/d9/check_room"):
                headers = {wire.SIGNATURE: wire.sign(key, "POST", odd, body)}
                async with session.post(device.url + odd, data=body, headers=headers) as response:
                    assert isinstance(wire.decode_failure(await response.read()), NodeDown)
            odd = "/open/d1/objects/1/..%2f..%2fkey?past=1"
            async with session.get(device.url + odd, headers={wire.SIGNATURE: wire.sign(key, "GET", odd, None)}) as response:
                assert response.status == 404


def test_an_old_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = wire.sign(b"k", "GET", "/", None)
    assert wire.genuine(b"k", "GET", "/", None, signed)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1000)
    assert not wire.genuine(b"k", "GET", "/", None, signed)


def test_failures_travel_with_their_facts() -> None:
    again = wire.decode_failure(wire.encode_failure(Outdated(timestamp=7)))
    assert isinstance(again, Outdated) and again.facts == {"timestamp": 7}
    assert isinstance(wire.decode_failure(wire.encode_failure(errors.Invalid(reason="x"))), NodeDown)
