"""How the whole store is: rings, devices, and what waits on them; and on demand whether every copy is where it belongs."""
from __future__ import annotations

import asyncio
from typing import Any

from pilvi.core.errors import Unavailable
from pilvi.objectstore.cluster.dispersion import dispersion
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.node.operations import DeviceState
from pilvi.objectstore.ring.lookup import Device


async def health(members: Members) -> dict[str, Any]:
    """{rings: {name: {version, partitions, replicas}}, devices: [{node, device, region, zone, mounted, …}]}. A device that does not
    answer is not mounted, and nothing more is known of it."""
    rings = {name: {"version": ring.version, "partitions": ring.partitions, "replicas": ring.replicas}
             for name, ring in members.rings.items()}
    named = {(device.node, device.name): device for ring in members.rings.values() for device in ring.devices if device is not None}
    devices = [named[key] for key in sorted(named)]
    states = await asyncio.gather(*(_state(members, device) for device in devices))
    lines = [{"node": device.node, "device": device.name, "region": device.region, "zone": device.zone, "mounted": state is not None,
              **(state._asdict() if state else {})} for device, state in zip(devices, states, strict=True)]
    return {"rings": rings, "devices": lines}


async def _state(members: Members, device: Device) -> DeviceState | None:
    try: found: DeviceState = await members.call(device, "device_state")
    except Unavailable: return None
    return found


async def dispersions(members: Members) -> dict[str, dict[str, Any]]:
    """{policy: {objects, wanted, found, strays, per_cent}}; looks at the names of all files on all devices."""
    report = {}
    for policy in members.policies:
        found = await dispersion(members, policy.index)
        report[policy.name] = {**found._asdict(), "per_cent": round(found.per_cent, 2)}
    return report
