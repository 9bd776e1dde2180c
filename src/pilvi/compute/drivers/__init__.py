"""Hypervisors. A driver is one file or package here and one line in the map; all of them pass tests/contract/test_hypervisor_driver.py."""
from collections.abc import Callable

from pilvi.compute.drivers.interface import Hypervisor
from pilvi.compute.drivers.qemu.driver import Qemu
from pilvi.compute.drivers.simulated import Simulated

DRIVERS: dict[str, Callable[..., Hypervisor]] = {
    "qemu": Qemu,
    "simulated": Simulated,
}
