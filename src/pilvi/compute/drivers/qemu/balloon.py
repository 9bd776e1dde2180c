"""What a guest says of its own memory, by the balloon device's driver in it. The guest may lie; only numbers that can be are believed.

Source: QEMU documentation, "virtio balloon memory statistics"; virtio specification, "Memory Statistics Tags".
"""
from __future__ import annotations

from typing import Any

from pilvi.compute.drivers.qemu.qmp import Monitor, Refused

DEVICE = "balloon"
POLL_SECONDS = 10
MOST_BYTES = 1 << 50
_PATH = f"/machine/peripheral/{DEVICE}"


def told(monitor: Monitor) -> dict[str, int]:
    """{"used_mib", "available_mib"}; nothing from a guest without the driver. Makes QEMU ask the guest from now on."""
    try: found: Any = monitor.execute("qom-get", {"path": _PATH, "property": "guest-stats"})
    except Refused: return {}  # a machine that was started before its balloon had a name
    if not found.get("last-update"):
        monitor.execute("qom-set", {"path": _PATH, "property": "guest-stats-polling-interval", "value": POLL_SECONDS})
        return {}
    stats = {name: value for name, value in found["stats"].items() if 0 <= value < MOST_BYTES}
    total, free = stats.get("stat-total-memory"), stats.get("stat-available-memory", stats.get("stat-free-memory"))
    if total is None or free is None or free > total: return {}
    return {"used_mib": (total - free) >> 20, "available_mib": total >> 20}
