"""How many of the copies that should be there are there: the measure of health after failures."""
from __future__ import annotations

import asyncio
from typing import NamedTuple

from pilvi.core.errors import Unavailable
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
    ring, folder = members.ring_of(policy), members.policies[policy].folder
    devices = [device for device in ring.devices if device is not None]
    objects = wanted = found = strays = 0
    for partition in range(ring.partitions):
        answers = await asyncio.gather(*(_manifest(members, device, folder, partition) for device in devices))
        held = dict(zip(devices, answers, strict=True))
        newest: dict[str, int] = {}
        for files in answers:
            for name, mtime in files.items(): newest[name] = max(mtime, newest.get(name, 0))
        alive = {name: mtime for name, mtime in newest.items() if of_mtime(mtime)[1] == Kind.DATA}
        owners = ring.nodes(partition)
        objects += len(alive)
        wanted += len(alive) * len(owners)
        found += sum(held[owner].get(name) == mtime for owner in owners for name, mtime in alive.items())
        strays += sum(len(files) for device, files in held.items() if device not in owners)
    return Dispersion(objects, wanted, found, strays)


async def _manifest(members: Members, device: Device, folder: str, partition: int) -> dict[str, int]:
    try: files: dict[str, int] = await members.call(device, "manifest", folder, partition)
    except Unavailable: return {}
    return files
