"""The network's backends: `simulated` moves no packets, `ovn` is Open Virtual Network. Each is a control half and a host half
(interface.py)."""
from pilvi.network.drivers.interface import Backend, HostBackend
from pilvi.network.drivers.ovn.control import Ovn
from pilvi.network.drivers.ovn.host import OvnHost
from pilvi.network.drivers.simulated import Simulated, SimulatedHost

BACKENDS: dict[str, type[Backend]] = {"ovn": Ovn, "simulated": Simulated}
"""Made with (directory, cloud_id=…, listen=…)."""

HOST_BACKENDS: dict[str, type[HostBackend]] = {"ovn": OvnHost, "simulated": SimulatedHost}
"""Made with (directory, host=…, external_cidr=…, external_gateway=…, tag=…, tunnel_ip=…)."""
