"""The ring as used: partitions of names, the devices of a partition, and the stand-ins (handoffs) when those are away."""
from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

from msgspec import Struct


class Device(Struct, frozen=True):
    """A disk. `url` is where its node answers; "" means a node that is reached by name only, in its own process."""
    id: int
    region: int
    zone: int
    node: str
    name: str
    weight: float
    url: str = ""

    @property
    def tiers(self) -> tuple[tuple[object, ...], ...]:
        """What it is part of, from region to device."""
        return (self.region,), (self.region, self.zone), (self.region, self.zone, self.node), (self.region, self.zone, self.node, self.id)


class Ring(Struct, frozen=True):
    """A table of partitions. `table[replica][partition]` is an index into `devices`; the last row of a fractional ring is shorter.
    `devices` holds None where a device was removed. `moved_at[partition]`: the hour (since 1970) in which a copy was last moved."""
    version: int
    power: int
    replicas: float
    devices: tuple[Device | None, ...]
    table: tuple[array[int], ...]
    moved_at: array[int]
    overload: float = 0.0
    min_part_hours: int = 1

    @property
    def partitions(self) -> int:
        return 1 << self.power

    def nodes(self, partition: int) -> list[Device]:
        """The devices that should hold a partition, in the order of its replicas."""
        found = (self.devices[row[partition]] for row in self.table if partition < len(row))
        return [device for device in found if device is not None]

    def handoffs(self, partition: int) -> Iterator[Device]:
        """All other devices in the order in which they stand in: first those in regions, zones and nodes that hold no copy. The order
        depends on the partition only, so that everybody looks at the same places."""
        used = {tier for device in self.nodes(partition) for tier in device.tiers}
        rest = [device for device in self.devices if device is not None and device.weight > 0 and device.tiers[-1] not in used]
        random.Random(partition).shuffle(rest)
        while rest:
            best = min(rest, key=lambda device: sum(tier in used for tier in device.tiers))
            rest.remove(best)
            used.update(best.tiers)
            yield best


@lru_cache(100_000)
def name_hash(key: bytes, *path: str) -> str:
    """32 hex digits from account, container, object. `key` is the cluster's own, so nobody can aim at one partition."""
    digest = blake2b(digest_size=16, key=key)
    digest.update("/".join(path).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def partition_of(hashed: str, power: int) -> int:
    """The partition: the hash's first bits."""
    return int(hashed[:8], 16) >> (32 - power)


def single(devices: Sequence[Device], replicas: int, power: int) -> Ring:
    """A ring for few equal devices, where every partition's order is a rotation; for tests and clouds of one process."""
    count = len(devices)
    table = tuple(array("H", ((partition + replica) % count for partition in range(1 << power))) for replica in range(replicas))
    return Ring(1, power, float(replicas), tuple(devices), table, array("I", bytes(4 << power)))
