"""Sharding: a divided container looks as one that is not, whatever happens on the way."""
from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.objectstore.storing import A, C, node, opened, options, put, working

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster import databases
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.replicate import replicate
from pilvi.objectstore.loops.shard import shard
from pilvi.objectstore.loops.update import update
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.interface import ListQuery, NoContainer, NodeDown, NotEmpty
from pilvi.objectstore.node.plan import Plan

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def tell(work: Work, name: str, *, deleted: bool = False, size: int = 1) -> None:
    """As an object's write does."""
    row = ObjectRow(name, time.now(), int(deleted), size, "etag", "text/plain", time.now())
    assert await work.teller.try_(A, C, row, list(range(len(work.members.rings["container"].table)))) == []


async def names(store: ClusterStore, **query: Any) -> list[str]:
    return [line.name for line in (await store.container_list(A, C, ListQuery(**query)))[1]]


async def plan_of(store: ClusterStore) -> Plan:
    found: Plan = await databases.read(store.members, "container", (A, C), "shard_known")
    return found


async def settle(work: Work, rounds: int = 5) -> None:
    """Rounds of all loops that have to do with it."""
    for _ in range(rounds):
        work.rested.clear()
        await update(work)
        await shard(work)
        await replicate(work)


def shard_files(path: Path) -> int:
    """Databases of containers in all."""
    return len(list(path.glob("devices/*/containers/*/*.db")))


# -- the same as one container

NAMES = st.text("ab/é", min_size=1, max_size=4)
OPERATION = st.one_of(st.tuples(st.just("put"), NAMES), st.tuples(st.just("put"), NAMES), st.tuples(st.just("delete"), NAMES),
                      st.tuples(st.just("round"), st.just("")))
QUERY = st.fixed_dictionaries({}, optional={
    "marker": NAMES, "end_marker": NAMES, "prefix": st.text("ab/é", max_size=2), "delimiter": st.sampled_from(["/", "a", "b/"]),
    "reverse": st.booleans(), "limit": st.integers(0, 9), "path": st.sampled_from(["", "a", "a/b", "b/"])})


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(OPERATION, min_size=20, max_size=50), st.lists(QUERY, min_size=12, max_size=12))
def test_a_sharded_container_lists_as_a_plain_one(operations: list[tuple[str, str]], queries: list[dict[str, Any]]) -> None:
    async def run(path: Path) -> None:
        async with one(path / "sharded", 4) as (sharded, work), one(path / "plain", 0) as (plain, other):
            for number, (act, name) in enumerate(operations):
                if act == "round":
                    work.rested.clear()
                    await update(work)
                    await shard(work)
                else:
                    for each in (work, other): await tell(each, name, deleted=act == "delete", size=number)
                query = queries[number % len(queries)]
                assert await names(sharded, **query) == await names(plain, **query), (act, name, query)
            for query in ({}, *queries): assert await names(sharded, **query) == await names(plain, **query), query
            await settle(work)
            mine, theirs = await sharded.container_stat(A, C), await plain.container_stat(A, C)
            assert (mine.objects, mine.size) == (theirs.objects, theirs.size)

    with TemporaryDirectory() as folder: asyncio.run(run(Path(folder)))


@asynccontextmanager
async def one(path: Path, limit: int) -> AsyncIterator[tuple[ClusterStore, Work]]:
    """A store, and what its loops are called with."""
    choices = options(shard_objects=limit)
    store = await opened(path, choices)
    try:
        with working(store, choices) as work: yield store, work
    finally: await store.close()


# -- and whatever happens

class Stopped(Exception):
    """The process ends here."""


async def stopped_after(work: Work, calls: int) -> bool:
    """Runs rounds, the last of which dies at the given call; False: there were not so many."""
    real, left = work.members.call, calls

    async def call(*arguments: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0: raise Stopped()
        return await real(*arguments, **more)

    work.members.call = call  # type: ignore[method-assign]
    try: await settle(work, 3)
    except Stopped: return True
    finally: work.members.call = real  # type: ignore[method-assign]
    return False


@pytest.mark.slow
async def test_no_death_on_the_way_loses_a_name(tmp_path: Path) -> None:
    """Dies at every thirteenth call of the whole way in turn, is started anew, and ends with all names each time."""
    choices, calls = options(2, 2, shard_objects=8), 0
    expected = [f"o{number:03d}" for number in range(30)]
    first = await opened(tmp_path / "start", choices)
    with working(first, choices) as work:
        for name in expected: await tell(work, name)
    await first.close()
    more = True
    while more:
        path = tmp_path / str(calls)
        shutil.copytree(tmp_path / "start", path)
        store = await opened(path, choices)
        with working(store, choices) as work: more = await stopped_after(work, calls)
        assert await names(store) == expected, calls
        for device in node(store).devices.values(): device.recovered = False  # it had no time to say goodbye
        await store.close()
        store = await opened(path, choices)
        with working(store, choices) as work:
            await tell(work, "new")
            await tell(work, "o007", deleted=True)
            await settle(work)
        assert await names(store) == ["new", *expected[:7], *expected[8:]], calls
        plan = await plan_of(store)
        assert plan.active and len(plan.live) > 2
        assert (await store.container_stat(A, C)).objects == 30
        await store.close()
        shutil.rmtree(path)
        calls += 13
    assert calls > 50


async def test_large_shards_are_cut_and_small_ones_joined(tmp_path: Path) -> None:
    async with one(tmp_path, 8) as (store, work):
        for number in range(12): await tell(work, f"a{number:02d}")
        await settle(work, 2)
        for number in range(30): await tell(work, f"z{number:02d}")
        await settle(work)
        live = (await plan_of(store)).live
        assert all(shard.objects <= 8 for shard in live) and len(live) >= 6
        assert [shard.lower for shard in live[1:]] == [shard.upper for shard in live[:-1]]
        for number in range(29): await tell(work, f"z{number:02d}", deleted=True)
        await settle(work, 30)
        live = (await plan_of(store)).live
        assert len(live) < 5 and [shard.lower for shard in live[1:]] == [shard.upper for shard in live[:-1]]
        assert await names(store) == [*(f"a{number:02d}" for number in range(12)), "z29"]
        assert (await store.container_stat(A, C)).objects == 13


async def test_a_sharded_container_is_deleted_only_when_it_is_empty(tmp_path: Path) -> None:
    async with one(tmp_path, 4) as (store, work):
        for number in range(10): await put(store, f"o{number}", b"x")
        await settle(work)
        for number in range(10): await store.object_delete(A, C, f"o{number}", policy=0)
        await put(store, "left", b"x")
        with pytest.raises(NotEmpty): await store.container_delete(A, C)
        await store.object_delete(A, C, "left", policy=0)
        await store.container_delete(A, C)
        with pytest.raises(NoContainer): await store.container_list(A, C, ListQuery())
        await settle(work)
        assert await store.container_put(A, C, {})
        assert await names(store) == []
        await put(store, "new", b"x")
        await settle(work)
        assert await names(store) == ["new"] and not (await store.container_stat(A, C)).sharded


async def test_a_shard_that_nobody_knows_gives_its_rows_back(tmp_path: Path) -> None:
    """As when two leaders divide a container at once, and one plan loses."""
    async with one(tmp_path, 4) as (store, work):
        for number in range(10): await tell(work, f"o{number}")
        account = f".shards_{A}"
        await databases.everywhere(store.members, (account, "lost"), "shard_make", account, "lost", 5, 0, [A, C], [A, C])
        await databases.everywhere(store.members, (account, "lost"), "shard_take", [ObjectRow("o55", time.now(), 0, 1)], False)
        await settle(work)
        assert "o55" in await names(store) and (await plan_of(store)).active
        assert (await store.container_stat(A, C)).objects == 11


async def test_a_copy_that_was_away_gives_its_rows_to_the_shards(tmp_path: Path) -> None:
    choices = options(3, 3, shard_objects=8)
    store = await opened(tmp_path, choices)
    with working(store, choices) as work:
        for number in range(20): await tell(work, f"o{number:02d}")
        away = node(store).devices.pop("d3")
        with pytest.raises(NodeDown): await databases.everywhere(store.members, (A, C), "shard_known")
        await shard(work)
        assert not (await plan_of(store)).active  # it waits: a copy could not be told
        await put(store, "late", b"x")
        node(store).devices["d3"] = away
        store.members._suspects.clear()
        row = ObjectRow("only", time.now(), 0, 1, "etag", "text/plain", time.now())
        assert await work.teller.try_(A, C, row, [2]) == []  # one copy has heard of it, and not the one that divides
        await settle(work)
        assert (await plan_of(store)).active
        for name in ("d1", "d2"): node(store).devices.pop(name)
        assert await names(store) == ["late", *(f"o{number:02d}" for number in range(20)), "only"]
    await store.close()
