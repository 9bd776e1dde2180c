"""Finding a driver: by its name in the service's literal map, or, for third parties, by an entry point `pilvi.<service>.drivers`.

A map holds addresses, "module:Name": a driver's libraries are loaded when it is chosen (those of all drivers took 30 MB of each process
and half a second of its start).
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

Driver = TypeVar("Driver")


class DriverUnknown(Exception):
    """No such driver."""


class Drivers(Mapping[str, Driver], Generic[Driver]):
    """{name: class}, each loaded when it is asked for."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)

    def __getitem__(self, name: str) -> Driver:
        module, _, attribute = self.addresses[name].partition(":")
        return cast(Driver, getattr(import_module(module), attribute))

    def __contains__(self, name: object) -> bool:
        return name in self.addresses

    def __iter__(self) -> Iterator[str]:
        return iter(self.addresses)

    def __len__(self) -> int:
        return len(self.addresses)


def choose(service: str, drivers: Mapping[str, Any], name: str) -> Any:
    """The driver's class. Raises DriverUnknown with the names there are."""
    if name in drivers: return drivers[name]
    for entry in entry_points(group=f"pilvi.{service}.drivers"):
        if entry.name == name: return entry.load()
    raise DriverUnknown(f"{service} has no driver '{name}'; there are {', '.join(sorted(drivers))}")
