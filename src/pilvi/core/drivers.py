"""Finding a driver: by its name in the service's literal map, or, for third parties, by an entry point `pilvi.<service>.drivers`."""
from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any


class DriverUnknown(Exception):
    """No such driver."""


def choose(service: str, drivers: Mapping[str, Any], name: str) -> Any:
    """The driver's class. Raises DriverUnknown with the names there are."""
    if name in drivers: return drivers[name]
    for entry in entry_points(group=f"pilvi.{service}.drivers"):
        if entry.name == name: return entry.load()
    raise DriverUnknown(f"{service} has no driver '{name}'; there are {', '.join(sorted(drivers))}")
