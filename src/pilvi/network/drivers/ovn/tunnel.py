"""The address that tunnels between hosts end at.

The kernel's datapath uses the host's own interfaces. The userspace datapath sends tunnel packets only through a bridge of its own that has
the network card as a port; the card's addresses and routes move to that bridge, and back when it is removed. """
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pilvi.network.drivers.interface import NetworkFailure
from pilvi.network.drivers.ovn.bridges import Switch
from pilvi.network.drivers.ovn.commands import run, succeeds

KERNEL_ROUTE = "kernel"


def interface_of(address: str) -> str:
    """The interface that has this address."""
    for link in json.loads(run(["ip", "-j", "-4", "address", "show"])):
        if any(entry["local"] == address for entry in link["addr_info"]): return str(link["ifname"])
    raise NetworkFailure(f"No interface of this host has the tunnel address {address}.")


def open_tunnel(switch: Switch, datapath: str, address: str, memory: Path) -> None:
    """Make the tunnel address usable by that datapath. What moved is written to `memory` first, to be put back after a crash too."""
    if datapath != "netdev": return
    # With memory, everything moved before; the bridge and its address go when vswitchd ends, so move it again.
    if not memory.exists():
        device = interface_of(address)
        memory.write_text(json.dumps({
            "device": device, "addresses": json.loads(run(["ip", "-j", "-4", "address", "show", "dev", device]))[0]["addr_info"],
            "routes": json.loads(run(["ip", "-j", "-4", "route", "show", "dev", device]))}))
    remembered = json.loads(memory.read_text())
    switch.add_bridge(switch.tunnel, datapath)
    # The userspace datapath takes a packet as it is: a checksum left to the card's hardware would stay wrong.
    run(["ethtool", "-K", remembered["device"], "tx", "off"])
    switch.vsctl("--may-exist", "add-port", switch.tunnel, remembered["device"])
    _move(remembered, switch.tunnel)


def close_tunnel(switch: Switch, memory: Path) -> None:
    """Put addresses and routes back on the card. After the bridges are gone; may be repeated."""
    if not memory.exists(): return
    remembered = json.loads(memory.read_text())
    _move(remembered, remembered["device"])
    succeeds(["ethtool", "-K", remembered["device"], "tx", "on"])
    memory.unlink()


def _move(remembered: dict[str, Any], target: str) -> None:
    if target != remembered["device"]: run(["ip", "-4", "address", "flush", "dev", remembered["device"]])
    run(["ip", "link", "set", target, "up"])
    for entry in remembered["addresses"]: run(["ip", "address", "replace", f"{entry['local']}/{entry['prefixlen']}", "dev", target])
    for route in remembered["routes"]:
        if route.get("protocol") == KERNEL_ROUTE: continue
        via = ["via", route["gateway"]] if "gateway" in route else []
        run(["ip", "route", "replace", route["dst"], *via, "dev", target])
