"""Drivers are found by name and loaded when they are chosen."""
from __future__ import annotations

import subprocess
import sys

import pytest

from pilvi.core.drivers import Drivers, DriverUnknown, choose


def test_a_driver_is_loaded_when_it_is_chosen() -> None:
    drivers = Drivers[type]({"ordered": "collections:OrderedDict", "broken": "no.such.module:Thing"})
    assert sorted(drivers) == ["broken", "ordered"] and len(drivers) == 2 and "broken" in drivers
    assert drivers["ordered"].__name__ == "OrderedDict"
    with pytest.raises(ModuleNotFoundError): drivers["broken"]
    with pytest.raises(DriverUnknown, match="broken, ordered"): choose("shop", drivers, "other")


@pytest.mark.parametrize(("process", "strangers"), [
    ("agent", "sqlalchemy aiohttp nats ovs qemu rich"), ("server", "aiohttp nats ovs rich")])
def test_a_process_loads_only_what_it_uses(process: str, strangers: str) -> None:
    look = f"import sys, pilvi.run.{process}; print(*(name for name in {strangers.split()} if sys.modules.get(name)))"
    told = subprocess.run([sys.executable, "-c", look], env={"PILVI_READY_FD": "9", "PYTHONPATH": ":".join(sys.path)}, capture_output=True,
                          text=True, check=True, timeout=120)
    assert told.stdout.split() == []
