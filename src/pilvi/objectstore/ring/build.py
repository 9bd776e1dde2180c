"""Makes the next ring out of the last one: everything has a place, weights and dispersion are met, as little moves as can. Pure.

What moves, in this order: what has lost its device; copies that lie too close together; what a device has too much of. Of a partition
whose copy moved less than `min_part_hours` ago nothing moves (unless its device is gone), and in one rebalance only one copy of a
partition moves, so that there are always copies where the ring before this one looked for them.
"""
from __future__ import annotations

import itertools
import math
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from msgspec import structs

from pilvi.objectstore.ring.lookup import Device, Ring
from pilvi.objectstore.ring.targets import Tier, by_tier, targets, whole_parts

NOBODY = 65535
PASSES = 3


class TooFewDevices(ValueError):
    """There are fewer devices with a weight than replicas."""


def empty(power: int, replicas: float, *, overload: float = 0.0, min_part_hours: int = 1) -> Ring:
    """A ring without devices; `rebalance` fills it."""
    if not 0 <= power <= 24 or replicas < 1: raise ValueError("power is 0 to 24, replicas at least 1")
    return Ring(0, power, float(replicas), (), (), array("I", bytes(4 << power)), overload, min_part_hours)


def with_device(ring: Ring, device: Device) -> Ring:
    """With one more device; its id is given here. It holds nothing until the rebalance."""
    return structs.replace(ring, devices=(*ring.devices, structs.replace(device, id=len(ring.devices))))


def with_weight(ring: Ring, device_id: int, weight: float) -> Ring:
    """With another weight; 0 drains the device."""
    return _with(ring, device_id, lambda device: structs.replace(device, weight=weight))


def with_place(ring: Ring, device_id: int, region: int, zone: int, url: str) -> Ring:
    """With a device at another place or address."""
    return _with(ring, device_id, lambda device: structs.replace(device, region=region, zone=zone, url=url))


def without_device(ring: Ring, device_id: int) -> Ring:
    """Without a device that is gone: the rebalance gives all of its partitions to others at once."""
    return _with(ring, device_id, lambda device: None)


def doubled(ring: Ring) -> Ring:
    """With twice the partitions: each is cut in two that stay where it was, so no file moves to another device."""
    if ring.power >= 24: raise ValueError("power is at most 24")
    table = tuple(_twice(row) for row in ring.table)
    return structs.replace(ring, version=ring.version + 1, power=ring.power + 1, table=table, moved_at=_twice(ring.moved_at))


def _twice(row: array[int]) -> array[int]:
    return array(row.typecode, (value for value in row for _ in range(2)))


def _with(ring: Ring, device_id: int, change: Callable[[Device], Device | None]) -> Ring:
    devices = list(ring.devices)
    old = devices[device_id]
    if old is None: raise KeyError(device_id)
    devices[device_id] = change(old)
    return structs.replace(ring, devices=tuple(devices))


def rebalance(ring: Ring, *, hour: int, seed: int = 0) -> tuple[Ring, int]:
    """(the next ring, how many copies of partitions it moves or adds). `hour`: now, in hours since 1970. Raises TooFewDevices."""
    devices = [device for device in ring.devices if device is not None]
    if sum(device.weight > 0 for device in devices) < math.ceil(ring.replicas): raise TooFewDevices()
    work = _Work(ring, devices, hour, random.Random(seed))
    work.fill()
    for _ in range(PASSES):
        moved = work.spread() + work.level()
        if not moved: break
    table = tuple(array("H", row) for row in work.table)
    before = [*ring.table, *[array("H")] * (len(table) - len(ring.table))]
    stayed = sum(now == then for new, old in zip(table, before, strict=False) for now, then in zip(new, old, strict=False))
    return structs.replace(ring, version=ring.version + 1, table=table, moved_at=work.moved_at), sum(map(len, table)) - stayed


class _Work:
    """The table while it is made. `held` counts partitions of every tier, `wanted` says how many it should have."""

    def __init__(self, ring: Ring, devices: Sequence[Device], hour: int, chance: random.Random) -> None:
        self.ring, self.hour, self.chance = ring, hour, chance
        self.by_id = {device.id: device for device in devices}
        self.table = self._rows(ring)
        self.moved_at = array("I", ring.moved_at)
        self.moved: set[int] = set()
        self.held: Counter[Tier] = Counter()
        self.children: dict[Tier, set[Tier]] = defaultdict(set)
        for device in devices:
            if device.weight <= 0: continue
            path = ((), *device.tiers)
            for above, below in itertools.pairwise(path): self.children[above].add(below)
        copies = targets(devices, ring.replicas, ring.overload)
        self.copies = by_tier(devices, copies)
        for row in self.table:
            for device_id in row: self._count(device_id, 1)
        slots = sum(len(row) for row in self.table)
        held = {device.id: self.held[device.tiers[-1]] for device in devices}
        whole = whole_parts(copies, slots, ring.partitions, held)
        self.wanted = by_tier(devices, whole)

    def _rows(self, ring: Ring) -> list[list[int]]:
        parts = ring.partitions
        sizes = [parts] * int(ring.replicas)
        if part := round((ring.replicas - int(ring.replicas)) * parts): sizes.append(part)
        rows = []
        for index, size in enumerate(sizes):
            old = list(ring.table[index])[:size] if index < len(ring.table) else []
            rows.append([one if one in self.by_id else NOBODY for one in old] + [NOBODY] * (size - len(old)))
        return rows

    def _count(self, device_id: int, change: int) -> None:
        if device_id == NOBODY: return
        for tier in self.by_id[device_id].tiers: self.held[tier] += change

    def _near(self, partition: int) -> Counter[Tier]:
        """How many copies of a partition each tier holds."""
        near: Counter[Tier] = Counter()
        for row in self.table:
            if partition < len(row) and row[partition] != NOBODY: near.update(self.by_id[row[partition]].tiers)
        return near

    def _movable(self, partition: int) -> bool:
        fresh = self.hour - self.moved_at[partition] < self.ring.min_part_hours and self.moved_at[partition] > 0
        return partition not in self.moved and not fresh

    def _choose(self, near: Counter[Tier]) -> int:
        """The device for one more copy: down the tiers, first where one must still go, then where one may, each time to the hungriest."""
        tier: Tier = ()
        while len(tier) < 4:
            tier = min(self.children[tier], key=lambda child: self._claim(child, near))
        return int(str(tier[3]))

    def _claim(self, tier: Tier, near: Counter[Tier]) -> tuple[int, float, int, str]:
        copies, here = self.copies[tier], near[tier]
        room = 0 if here < math.floor(copies + 1e-6) else 1 if here < math.ceil(copies - 1e-6) else 2
        if len(tier) == 4 and here: room = 4
        elif not self._roomy(tier, near): room = 3
        hunger = self.wanted[tier] - self.held[tier]
        return room, -hunger / max(self.wanted[tier], 1), here, str(tier)

    def _roomy(self, tier: Tier, near: Counter[Tier]) -> bool:
        """Is there a device below without a copy?"""
        if len(tier) == 4: return not near[tier]
        return any(self._roomy(child, near) for child in self.children[tier])

    def _place(self, row: list[int], partition: int, device_id: int) -> None:
        self._count(row[partition], -1)
        row[partition] = device_id
        self._count(device_id, 1)

    def fill(self) -> None:
        """Gives a device to every copy without one."""
        places = [(row, partition) for row in self.table for partition in range(len(row)) if row[partition] == NOBODY]
        self.chance.shuffle(places)
        fresh = not self.ring.table
        for row, partition in places:
            self._place(row, partition, self._choose(self._near(partition)))
            if not fresh: self._mark(partition)

    def _mark(self, partition: int) -> None:
        self.moved.add(partition)
        self.moved_at[partition] = self.hour

    def _move(self, row: list[int], partition: int, near: Counter[Tier], *, better: bool) -> bool:
        """Moves one copy to where it's wanted more; False: it is as well where it is. `better`: for dispersion, else for balance."""
        old = row[partition]
        near = near.copy()
        near.subtract(self.by_id[old].tiers)
        new = self._choose(near)
        if new in (old, NOBODY): return False
        before, after = self._crowd(old, near), self._crowd(new, near)
        if after > before or (better and after == before): return False
        if not better and self._hunger(new) <= 0: return False
        self._place(row, partition, new)
        self._mark(partition)
        return True

    def _hunger(self, device_id: int) -> float:
        tier = self.by_id[device_id].tiers[-1]
        return self.wanted[tier] - self.held[tier]

    def _crowd(self, device_id: int, near: Counter[Tier]) -> tuple[int, ...]:
        """How much too close a copy would be, tier by tier, to the others of its partition."""
        return tuple(max(0, near[tier] + 1 - math.ceil(self.copies[tier] - 1e-6)) for tier in self.by_id[device_id].tiers)

    def spread(self) -> int:
        """Moves copies that lie closer together than the targets say."""
        moved = 0
        for partition in range(self.ring.partitions):
            if not self._movable(partition): continue
            near = self._near(partition)
            for row in self.table:
                if partition >= len(row): continue
                less = near.copy()
                less.subtract(self.by_id[row[partition]].tiers)
                if any(self._crowd(row[partition], less)) and self._move(row, partition, near, better=True):
                    moved += 1
                    break
        return moved

    def level(self) -> int:
        """Moves what a device has too much of, weightless ones first, to those that have too little."""
        moved = 0
        places: dict[int, list[tuple[list[int], int]]] = defaultdict(list)
        for row in self.table:
            for partition, device_id in enumerate(row): places[device_id].append((row, partition))
        for device_id in sorted(places, key=self._hunger):
            if self._hunger(device_id) >= 0: continue
            candidates = places[device_id]
            self.chance.shuffle(candidates)
            for row, partition in candidates:
                if self._hunger(device_id) >= 0: break
                if self._movable(partition) and self._move(row, partition, self._near(partition), better=False): moved += 1
        return moved
