"""The loops, one round each: what they repair, and that they leave alone what is right."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.objectstore.storing import A, C, get, node, object_files, opened, options, put, working

from pilvi.core import clock
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster.dispersion import dispersion
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.audit import audit
from pilvi.objectstore.loops.expire import expire
from pilvi.objectstore.loops.reap import reap
from pilvi.objectstore.loops.reconcile import reconcile
from pilvi.objectstore.loops.replicate import replicate
from pilvi.objectstore.loops.update import update
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import ListQuery, NoAccount, NodeDown, NoObject
from pilvi.objectstore.node.local import EXPIRING
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring import build, file

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def take_away(store: ClusterStore, name: str) -> LocalDevice:
    """The device fails."""
    return node(store).devices.pop(name)


def give_back(store: ClusterStore, device: LocalDevice, *, wiped: bool = False) -> None:
    """It returns, empty if wiped."""
    if wiped:
        reserve = device.disk.reserve_bytes
        device.close()
        shutil.rmtree(device.path)
        device = LocalDevice(device.name, device.path, reserve)
    node(store).devices[device.name] = device
    store.members._suspects.clear()


async def whole(store: ClusterStore, work: Work, rounds: int = 3) -> None:
    """Rounds of replication until all copies are where they belong."""
    for _ in range(rounds):
        await replicate(work)
        if (found := await dispersion(store.members, 0)).complete and not found.strays: return
    raise AssertionError(found)


async def test_a_round_over_a_whole_store_changes_nothing(tmp_path: Path) -> None:
    choices = options(4, 3)
    store = await opened(tmp_path, choices)
    for number in range(20): await put(store, f"o{number}", b"x" * number)
    before = {path: path.stat().st_mtime_ns for path in object_files(tmp_path)}
    with working(store, choices) as work: await whole(store, work, 1)
    assert {path: path.stat().st_mtime_ns for path in object_files(tmp_path)} == before
    await store.close()


async def test_a_wiped_device_is_filled_again(tmp_path: Path) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    contents = {f"o{number}": os.urandom(number * 5000) for number in range(20)}
    for name, content in contents.items(): await put(store, name, content)
    await store.object_post(A, C, "o3", policy=0, metadata={"a": "1"})
    await store.object_delete(A, C, "o4", policy=0)
    give_back(store, take_away(store, "d2"), wiped=True)
    with working(store, choices) as work:
        assert not (await dispersion(store.members, 0)).complete
        await whole(store, work)
    for name in ("d1", "d3"): take_away(store, name)
    for name, content in contents.items():
        if name == "o4": continue
        assert (await store.members.call(_device(store, "d2"), "object_head", "objects", *store.members.place(
            store.members.ring_of(0), A, C, name), False)).size == len(content)
    partition, hashed = store.members.place(store.members.rings["container"], A, C)
    stat = await store.members.call(_device(store, "d2"), "container_stat", partition, hashed)
    assert stat.objects == 19
    partition, hashed = store.members.place(store.members.rings["account"], A)
    assert (await store.members.call(_device(store, "d2"), "account_stat", partition, hashed)).containers == 1


def _device(store: ClusterStore, name: str):  # type: ignore[no-untyped-def]
    return next(device for device in store.members.ring_of(0).devices if device and device.name == name)


async def test_writes_go_to_stand_ins_and_come_home(tmp_path: Path) -> None:
    choices = options(5, 3)
    store = await opened(tmp_path, choices)
    await put(store, "old", b"old")
    away = take_away(store, "d1")
    contents = {f"o{number}": os.urandom(300_000 if number % 7 == 0 else 3000) for number in range(20)}
    for name, content in contents.items(): await put(store, name, content)
    assert len(object_files(tmp_path)) == 63
    for name, content in contents.items(): assert await get(store, name) == content
    give_back(store, away)
    assert (await dispersion(store.members, 0)).strays
    with working(store, choices) as work: await whole(store, work)
    assert len(object_files(tmp_path)) == 63
    for name, content in contents.items(): assert await get(store, name) == content
    assert (await store.container_stat(A, C)).objects == 21
    await store.close()


async def test_a_deletion_reaches_the_copy_that_was_away(tmp_path: Path) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    await put(store, "o", b"abc")
    away = take_away(store, "d1")
    await store.object_delete(A, C, "o", policy=0)
    give_back(store, away)
    with working(store, choices) as work: await whole(store, work)
    take_away(store, "d2"), take_away(store, "d3")
    with pytest.raises(NoObject): await get(store, "o")


@pytest.mark.parametrize("size", [4000, 3 << 20])
async def test_no_flipped_bit_is_ever_served(tmp_path: Path, size: int) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    content = os.urandom(size)
    await put(store, "o", content)
    for path in object_files(tmp_path)[:2]: flip(path, size * 2 // 3)
    assert await get(store, "o") == content
    with working(store, choices) as work:
        await audit(work)
        await whole(store, work)
    assert len(object_files(tmp_path)) == 3
    assert len(list(tmp_path.glob("devices/*/quarantined/objects/*"))) == 2
    assert await get(store, "o") == content
    await store.close()


def flip(path: Path, at: int) -> None:
    """One bit, the file's time kept."""
    before = path.stat()
    with path.open("r+b") as opened_file:
        opened_file.seek(at)
        byte = opened_file.read(1)[0]
        opened_file.seek(at)
        opened_file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_broken_database_is_put_aside_and_comes_again(tmp_path: Path) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    for number in range(200): await put(store, f"o{number}", b"x")
    path = next(tmp_path.glob("devices/d1/containers/*/*.db"))
    node(store).devices["d1"].containers.close()
    for left in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")): left.unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 20000)
    for _ in range(3): assert len((await store.container_list(A, C, ListQuery()))[1]) == 200
    await put(store, "meanwhile", b"x")
    with working(store, choices) as work:
        await audit(work)
        assert not path.exists()
        await replicate(work)
        await update(work)
    partition, hashed = store.members.place(store.members.rings["container"], A, C)
    assert (await store.members.call(_device(store, "d1"), "container_stat", partition, hashed)).objects == 201
    await store.close()


async def test_a_container_that_was_away_is_told_later(tmp_path: Path) -> None:
    choices = options(4, 2)
    store = await opened(tmp_path, choices)
    partition, _ = store.members.place(store.members.rings["container"], A, C)
    owners = [device.name for device in store.members.rings["container"].nodes(partition)]
    gone = [take_away(store, name) for name in owners]
    written = [number for number in range(20) if await _tried(put(store, f"o{number}", b"x"))]
    assert written
    for device in gone: give_back(store, device)
    assert list(tmp_path.glob("devices/*/pending/*"))
    with working(store, choices) as work: await update(work)
    assert list(tmp_path.glob("devices/*/pending/*")) == []
    assert (await store.container_stat(A, C)).objects == len(written)
    await store.close()


async def _tried(work) -> bool:  # type: ignore[no-untyped-def]
    try: await work
    except NodeDown: return False
    return True


async def test_accounts_learn_what_containers_hold(tmp_path: Path) -> None:
    choices = options()
    store = await opened(tmp_path, choices)
    for number in range(5): await put(store, f"o{number}", b"12345")
    with working(store, choices) as work:
        await update(work)
        stat, listed = await store.account_list(A, ListQuery())
        assert (stat.containers, stat.objects, stat.size, stat.by_policy) == (1, 5, 25, {0: (1, 5, 25)})
        assert listed[0][2:4] == (5, 25)
        for number in range(5): await store.object_delete(A, C, f"o{number}", policy=0)
        await store.container_delete(A, C)
        await update(work)
    stat, listed = await store.account_list(A, ListQuery())
    assert (stat.containers, stat.objects, stat.size, listed) == (0, 0, 0, [])
    await store.close()


async def test_after_a_crash_what_was_not_told_is_told(tmp_path: Path) -> None:
    """As if the process had died between the object's rename and its row: the row is taken out by hand, and no goodbye was left."""
    choices = options()
    store = await opened(tmp_path, choices)
    await put(store, "o", b"abc")
    await put(store, "p", b"abc")
    await store.object_post(A, C, "p", policy=0, metadata={}, content_type="image/png")
    await store.object_delete(A, C, "o", policy=0)
    handle = node(store).devices["d1"].containers.handle(*store.members.place(store.members.rings["container"], A, C))
    with handle.write() as db: db.executescript("DELETE FROM row; UPDATE total SET objects = 0, size = 0; BEGIN IMMEDIATE")
    await store.close()
    (tmp_path / "devices/d1/clean").unlink(missing_ok=True)
    store = await opened(tmp_path, choices)
    with working(store, choices) as work: await update(work)
    stat, listed = await store.container_list(A, C, ListQuery())
    assert [(entry[0], entry[4]) for entry in listed] == [("p", "image/png")]
    assert stat.objects == 1
    await store.close()
    assert (tmp_path / "devices/d1/clean").exists()


async def test_objects_end_when_they_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    at = int(clock.now()) + 100
    for name in ("ends", "kept", "later", "prolonged"): await put(store, name, b"abc", metadata={"x-delete-at": str(at)})
    await store.object_post(A, C, "kept", policy=0, metadata={})
    await store.object_post(A, C, "prolonged", policy=0, metadata={"x-delete-at": str(at + 1000)})
    await put(store, "later", b"abc", metadata={"x-delete-at": str(at + 500)})
    with working(store, choices) as work:
        await update(work)
        await expire(work)
        assert (await store.container_stat(A, C)).objects == 4
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + 200)
        with pytest.raises(NoObject): await get(store, "ends")
        assert (await store.object_head(A, C, "ends", policy=0, expired=True)).size == 3
        await expire(work)
    with pytest.raises(NoObject): await store.object_head(A, C, "ends", policy=0, expired=True)
    _, listed = await store.container_list(A, C, ListQuery())
    assert [entry.name for entry in listed] == ["kept", "later", "prolonged"]
    _, days = await store.account_list(EXPIRING, ListQuery())
    _, left = await store.container_list(EXPIRING, days[0].name, ListQuery())
    assert sorted(entry.name.rsplit("/", 1)[1] for entry in left) == ["later", "prolonged"]
    await store.close()


async def test_a_deleted_account_is_emptied_and_may_be_made_anew(tmp_path: Path) -> None:
    choices = options(3, 3)
    store = await opened(tmp_path, choices)
    for number in range(7): await put(store, f"o{number}", b"abc")
    await store.account_delete(A)
    with working(store, choices) as work:
        with pytest.raises(NoAccount): await store.account_put(A, {})
        await reap(work)
        with pytest.raises(NoObject): await get(store, "o1")
    assert await store.account_put(A, {})
    assert (await store.account_stat(A)).containers == 0
    await store.close()


async def test_objects_move_to_their_containers_policy(tmp_path: Path) -> None:
    choices = options(2, 1, policies=[Policy(index=0, name="one", default=True), Policy(index=1, name="two", replicas=2)])
    store = await opened(tmp_path, choices)
    await store.container_put(A, "d", {}, policy=1)
    await put(store, "right", b"abc")
    await put(store, "wrong", b"abcd", policy=1, metadata={"x-object-meta-a": "1"})
    with working(store, choices) as work: await reconcile(work)
    info = await store.object_head(A, C, "wrong", policy=0)
    assert (info.size, info.metadata) == (4, {"x-object-meta-a": "1"})
    with pytest.raises(NoObject): await get(store, "wrong", policy=1)
    _, listed = await store.container_list(A, C, ListQuery())
    assert [(entry.name, entry[2]) for entry in listed] == [("right", 3), ("wrong", 4)]
    await store.close()


async def test_a_new_ring_moves_files_where_they_belong(tmp_path: Path) -> None:
    choices = options(3, 2)
    store = await opened(tmp_path, choices)
    contents = {f"o{number}": os.urandom(1000) for number in range(40)}
    for name, content in contents.items(): await put(store, name, content)
    await store.close()
    for path in (tmp_path / "rings").iterdir():
        ring = file.load(path)
        more = build.with_device(ring, build.Device(0, 1, 4, "control", "d4", 100.0))
        file.save(build.rebalance(more, hour=int(clock.now() // 3600) + 1)[0], path)
    store = await opened(tmp_path, choices)
    with working(store, choices) as work:
        for name, content in contents.items(): assert await get(store, name) == content
        await whole(store, work)
    assert len(object_files(tmp_path)) == 80
    assert object_files(tmp_path / "x") == [] and list(tmp_path.glob("devices/d4/objects/*/*"))
    for name, content in contents.items(): assert await get(store, name) == content
    assert (await store.container_stat(A, C)).objects == 40
    await store.close()


async def test_old_tombstones_are_forgotten(tmp_path: Path) -> None:
    choices = options(3, 3, reclaim_seconds=5)
    store = await opened(tmp_path, choices)
    old = time.now() - 60 * time.TICKS
    await put(store, "o", b"abc", timestamp=old)
    await store.object_delete(A, C, "o", policy=0, timestamp=old + 1)
    await put(store, "p", b"abc")
    await store.object_delete(A, C, "p", policy=0)
    with working(store, choices) as work: await replicate(work)
    assert len(object_files(tmp_path)) == 3
    await store.close()
