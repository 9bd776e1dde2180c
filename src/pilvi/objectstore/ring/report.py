"""How good a ring is: balance (does each device hold what its weight says) and dispersion (are copies apart). Pure."""
from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from pilvi.objectstore.ring.lookup import Ring
from pilvi.objectstore.ring.targets import by_tier, dispersed, required_overload, weighted


class Report(NamedTuple):
    """`balance`: the largest deviation of a device from its weight's share, in per cent. `dispersion`: partitions with copies closer
    together than the devices would allow, in per cent. `parts`: {device id: partitions held}."""
    balance: float
    dispersion: float
    required_overload: float
    parts: dict[int, int]
    worst_tier: str


def report(ring: Ring) -> Report:
    """Looks at the whole table."""
    devices = [device for device in ring.devices if device is not None]
    parts = Counter(device_id for row in ring.table for device_id in row)
    slots = sum(len(row) for row in ring.table)
    by_weight = weighted(devices, ring.replicas)
    total = sum(by_weight.values()) or 1.0
    shares = {device.id: by_weight[device.id] / total * slots for device in devices}
    balance = max((100 * abs(parts[one] / share - 1) if share else 999.99 for one, share in shares.items() if share or parts[one]),
                  default=0.0)
    copies = by_tier(devices, dispersed(devices, ring.replicas))
    crowded, worst = 0, Counter[str]()
    for partition in range(ring.partitions):
        near = Counter(tier for device in ring.nodes(partition) for tier in device.tiers)
        bad = [tier for tier, count in near.items() if count > -(-(copies[tier] - 1e-6) // 1)]
        crowded += bool(bad)
        worst.update(str(tier) for tier in bad)
    return Report(round(balance, 2), round(100 * crowded / ring.partitions, 2), required_overload(devices, ring.replicas), dict(parts),
                  worst.most_common(1)[0][0] if worst else "")
