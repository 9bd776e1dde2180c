"""How many of the copies that should be there are there: the measure of health after failures."""
from __future__ import annotations

import asyncio
from typing import NamedTuple

from pilvi.core.errors import Unavailable
from pilvi.objectstore.cluster.codec import STAGED, fragment_name
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.node.record import Kind, of_mtime
from pilvi.objectstore.ring.lookup import Device


class Dispersion(NamedTuple):
    """`found` of `wanted` copies are where they belong, of `objects` in all; `strays` lie elsewhere."""
    objects: int
    wanted: int
    found: int
    strays: int

    @property
    def complete(self) -> bool:
        return self.wanted == self.found

    @property
    def per_cent(self) -> float:
        return 100.0 * self.found / self.wanted if self.wanted else 100.0


async def dispersion(members: Members, policy: int) -> Dispersion:
    """Looks at the files of a policy on all devices."""
    ring, folder, coded = members.ring_of(policy), members.policies[policy].folder, members.policies[policy].erasure_coded
    devices = [device for device in ring.devices if device is not None]
    objects = wanted = found = strays = 0
    for partition in range(ring.partitions):
        answers = await asyncio.gather(*(_manifest(members, device, folder, partition, ring.power) for device in devices))
        held = dict(zip(devices, answers, strict=True))
        owners = ring.nodes(partition)
        newest: dict[str, int] = {}
        for files in answers:
            for name, mtime in files.items():
                if not name.endswith((STAGED, ".meta")): newest[name[:32]] = max(mtime, newest.get(name[:32], 0))
        alive = {hashed: mtime for hashed, mtime in newest.items() if of_mtime(mtime)[1] == Kind.DATA}
        objects += len(alive)
        wanted += len(alive) * len(owners)
        for number, owner in enumerate(owners):
            found += sum(held[owner].get(_names(hashed, owners, coded)[number]) == mtime for hashed, mtime in alive.items())
            here = {_names(hashed, owners, coded)[number] for hashed in newest}
            strays += sum(name.removesuffix(".meta") not in here for name in held[owner])
        strays += sum(len(files) for device, files in held.items() if device not in owners)
    return Dispersion(objects, wanted, found, strays)


def _names(hashed: str, owners: list[Device], coded: bool) -> list[str]:
    """What each owner calls its copy."""
    return [fragment_name(hashed, number) if coded else hashed for number in range(len(owners))]


async def _manifest(members: Members, device: Device, folder: str, partition: int, power: int) -> dict[str, int]:
    try: files: dict[str, int] = await members.call(device, "manifest", folder, partition, power)
    except Unavailable: return {}
    return files
