"""The network's backends: `simulated` moves no packets, `ovn` is Open Virtual Network. Each is a control half and a host half
(interface.py)."""
from pilvi.core.drivers import Drivers
from pilvi.network.drivers.interface import Backend, HostBackend

BACKENDS = Drivers[type[Backend]]({
    "ovn": "pilvi.network.drivers.ovn.control:Ovn",
    "simulated": "pilvi.network.drivers.simulated:Simulated",
})
"""Made with (directory, cloud_id=…, listen=…)."""

HOST_BACKENDS = Drivers[type[HostBackend]]({
    "ovn": "pilvi.network.drivers.ovn.host:OvnHost",
    "simulated": "pilvi.network.drivers.simulated:SimulatedHost",
})
"""Made with (directory, host=…, external_cidr=…, external_gateway=…, tag=…, tunnel_ip=…)."""
