"""Hypervisors. A driver is one file or package here and one line in the map; all of them pass tests/contract/test_hypervisor_driver.py."""
from collections.abc import Callable

from pilvi.compute.drivers.interface import Hypervisor
from pilvi.core.drivers import Drivers

DRIVERS = Drivers[Callable[..., Hypervisor]]({
    "qemu": "pilvi.compute.drivers.qemu.driver:Qemu",
    "simulated": "pilvi.compute.drivers.simulated:Simulated",
})
