"""What costs, and in which units. Prices are per unit and hour."""
from __future__ import annotations

UNITS: dict[str, tuple[str, ...]] = {
    "server": ("instance", "vcpu", "ram_gib", "disk_gib"), "volume": ("gib",), "snapshot": ("gib",), "image": ("gib",),
    "floating_ip": ("address",), "object_storage": ("gib",)}
"""{kind: its units}"""
