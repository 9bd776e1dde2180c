"""Twice the partitions while it serves: every object is readable in each phase, and no copy changes its device."""
from __future__ import annotations

from pathlib import Path

import pytest
from tests.objectstore.storing import A, C, get, node, object_files, opened, options, put, working

from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.rings import RingFiles
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.audit import audit
from pilvi.objectstore.loops.dispersion import dispersion
from pilvi.objectstore.loops.reconstruct import reconstruct
from pilvi.objectstore.loops.relink import relink
from pilvi.objectstore.loops.replicate import replicate
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.disk import refile
from pilvi.objectstore.node.interface import NoObject
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring import build
from pilvi.objectstore.ring.lookup import partition_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_both_halves_of_a_partition_stay_where_it_was() -> None:
    ring = build.empty(4, 2.5)
    for number in range(5): ring = build.with_device(ring, build.Device(0, 1, number, "n", f"d{number}", 100.0))
    ring, _ = build.rebalance(ring, hour=100)
    twice = build.doubled(ring)
    assert (twice.partitions, twice.version, twice.replicas) == (32, ring.version + 1, 2.5)
    for partition in range(32): assert twice.nodes(partition) == ring.nodes(partition // 2)
    again, moved = build.rebalance(twice, hour=200)
    assert moved == 0 and again.table == twice.table


class Contents:
    """What must be there."""

    def __init__(self, store: ClusterStore, policy: int) -> None:
        self.store, self.policy, self.there, self.gone = store, policy, dict[str, bytes](), set[str]()

    async def change(self, step: int) -> None:
        """New ones, an overwrite, a POST, a deletion."""
        for number in range(12): await self.put(f"o{step}-{number}")
        if step:
            await self.put(f"o{step - 1}-1")
            await self.store.object_post(A, C, f"o{step - 1}-2", policy=self.policy, metadata={"x-object-meta-step": str(step)})
            assert (await self.store.object_head(A, C, f"o{step - 1}-2", policy=self.policy)).metadata["x-object-meta-step"] == str(step)
            await self.store.object_delete(A, C, f"o{step - 1}-3", policy=self.policy)
            del self.there[f"o{step - 1}-3"]
            self.gone.add(f"o{step - 1}-3")

    async def put(self, name: str) -> None:
        self.there[name] = f"{name} {len(self.there)}".encode() * 50
        await put(self.store, name, self.there[name], self.policy)

    async def check(self) -> None:
        """All as it should be, by all copies."""
        for name, content in self.there.items(): assert await get(self.store, name, self.policy) == content, name
        for name in self.gone:
            with pytest.raises(NoObject): await get(self.store, name, self.policy)
        found = await dispersion(self.store.members, self.policy)
        assert (found.objects, found.per_cent, found.strays) == (len(self.there), 100.0, 0)


@pytest.mark.parametrize("coded", [False, True])
async def test_every_object_is_readable_in_each_phase(tmp_path: Path, coded: bool) -> None:
    policy = Policy(index=0, name="p", replicas=3, default=True, data_fragments=2 if coded else 0)
    choices = options(4, 3, policies=[policy])
    store = await opened(tmp_path, choices)
    contents = Contents(store, 0)
    await contents.change(0)
    await contents.check()
    assert administer.double(tmp_path, "object") == 32
    RingFiles(tmp_path, store.members).reload()  # the ring is new, the devices do not know yet
    assert store.members.ring_of(0).power == 5
    await contents.check()
    await contents.change(1)
    await contents.check()
    for device in node(store).devices.values():  # some have begun, one has moved some directories, then all ends
        if device.name != "d1": device.disk.layout.aim("objects", 5)
        if device.name == "d2":
            for directory in device.disk.directories("objects")[::2]: refile(device.disk, "objects", directory)
    await contents.check()
    await contents.change(2)
    await store.close()
    store = contents.store = await opened(tmp_path, choices)
    await contents.check()
    with working(store, choices) as work:
        await rounds(work, coded)
        await contents.change(3)
        await contents.check()
        for _ in range(2): await relink(work)
        await rounds(work, coded)
        await contents.check()
        assert all(device.disk.layout.powers == {"objects": [5]} for device in node(store).devices.values())
        assert all(int(file.parent.name) == partition_of(file.name, 5) for file in object_files(tmp_path))
        assert not list(tmp_path.glob("devices/*/quarantined/objects/*"))
    await store.close()


async def rounds(work: Work, coded: bool) -> None:
    """The loops that read directories."""
    await (reconstruct if coded else replicate)(work)
    await audit(work)


def test_only_rings_of_objects_are_doubled(tmp_path: Path) -> None:
    (tmp_path / "rings").mkdir()
    with pytest.raises(ValueError, match="container is no ring of objects"): administer.double(tmp_path, "container")
