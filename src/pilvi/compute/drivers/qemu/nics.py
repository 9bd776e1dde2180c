"""A machine's network cards: the tap on the host, its port on the integration bridge, the card in the guest.

Taps are made and opened here, as root, and given to QEMU as descriptors. They exist while the machine runs: stopping it removes tap and
bridge port.
"""
from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import HypervisorFailure, Nic
from pilvi.compute.drivers.qemu.disks import devices, unplug_device
from pilvi.compute.drivers.qemu.qmp import Monitor, Refused

UNPLUG_SECONDS = 90
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_WITHOUT_BACKEND = ("none", "simulated", "unbound")
_COUNTERS = ("bytes", "packets", "errors", "dropped")


def name(slot: int) -> str:
    """The card's device and backend, in QEMU's words."""
    return f"nic{slot}"


def tap(nic: Nic) -> str:
    """The tap's name (at most 15 characters): neutron's manner, so that tools recognise it."""
    return f"tap{nic.port_id[:11]}"


def wired(nic: Nic) -> bool:
    """Whether the card leads anywhere; HypervisorFailure when its binding is of a kind that this driver cannot plug."""
    kind = nic.binding.get("vif_type")
    if kind not in ("ovs", *_WITHOUT_BACKEND): raise HypervisorFailure(f"port {nic.port_id} has a binding of type {kind!r}")
    return bool(kind == "ovs")


def connect(nic: Nic, server_id: str) -> None:
    """Make the tap and its port on the bridge. May be repeated."""
    if not wired(nic): return
    device, details = tap(nic), nic.binding["vif_details"]
    if not _exists(device): _run("ip", "tuntap", "add", "dev", device, "mode", "tap", "vnet_hdr")
    ipv6 = Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6")
    if ipv6.exists(): ipv6.write_text("1")  # or the host itself would speak on the tenant's network
    _run("ip", "link", "set", "dev", device, "mtu", str(nic.mtu), "up")
    _run("ovs-vsctl", "--timeout=30", f"--db={details['ovsdb']}", "--may-exist", "add-port", details["bridge"], device, "--",
         "set", "Interface", device, f"external_ids:iface-id={nic.port_id}", f'external_ids:attached-mac="{nic.mac}"',
         f"external_ids:vm-uuid={server_id}", "external_ids:iface-status=active")


def disconnect(nic: Nic) -> None:
    """Remove the port and the tap. May be repeated; a bridge that cannot be asked keeps nothing from being removed but its own port."""
    if nic.binding.get("vif_type") != "ovs": return
    details = nic.binding["vif_details"]
    try:
        _run("ovs-vsctl", "--timeout=30", f"--db={details['ovsdb']}", "--if-exists", "del-port", details["bridge"], tap(nic))
    finally:
        if _exists(tap(nic)): _run("ip", "link", "delete", "dev", tap(nic))


def open_tap(nic: Nic) -> int:
    """A descriptor of the tap, for QEMU."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", tap(nic).encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
    except OSError as error:
        os.close(descriptor)
        raise HypervisorFailure(f"tap {tap(nic)}: {error.strerror}") from error
    return descriptor


def device(nic: Nic, slot: int) -> dict[str, Any]:
    """The card as `device_add` sees it."""
    card: dict[str, Any] = {"driver": "virtio-net-pci", "id": name(slot), "mac": nic.mac, "addr": f"{slot:x}.0", "romfile": "",
                            "host_mtu": nic.mtu}
    if not wired(nic): return card
    card["netdev"] = name(slot)
    if nic.binding["vif_details"].get("datapath") == "netdev":
        # Open vSwitch's userspace datapath neither completes checksums nor cuts segments: with offloads no TCP connection comes about
        card |= {"csum": False, "gso": False, "guest_csum": False}
    return card


def plug(monitor: Monitor, nic: Nic, slot: int, server_id: str) -> None:
    """Plug it into a running machine. May be repeated: what is left of an interrupted attempt is taken away first."""
    if name(slot) in devices(monitor): return
    connect(nic, server_id)
    if wired(nic):
        _close(monitor, slot)
        descriptor = open_tap(nic)
        try:
            monitor.execute_with_descriptor("getfd", {"fdname": name(slot)}, descriptor)
        finally:
            os.close(descriptor)
        monitor.execute("netdev_add", {"type": "tap", "id": name(slot), "fd": name(slot), "vhost": False})
    try:
        monitor.execute("device_add", device(nic, slot))
    except HypervisorFailure:
        if monitor.connected: _close(monitor, slot)
        raise


def unplug(monitor: Monitor, slot: int, seconds: float = UNPLUG_SECONDS) -> None:
    """Unplug it from a running machine and return when the guest has let go."""
    unplug_device(monitor, name(slot), seconds)
    _close(monitor, slot)


def counters(nic: Nic) -> dict[str, int]:
    """Bytes, packets, errors and drops, as the guest sees them: what the tap receives is what the guest sent."""
    folder = Path(f"/sys/class/net/{tap(nic)}/statistics")
    found = dict.fromkeys((f"{way}_{what}" for way in ("rx", "tx") for what in _COUNTERS), 0)
    if not folder.exists(): return found
    for what in _COUNTERS:
        found[f"rx_{what}"] = int((folder / f"tx_{what}").read_text())
        found[f"tx_{what}"] = int((folder / f"rx_{what}").read_text())
    return found


def _close(monitor: Monitor, slot: int) -> None:
    """Remove the backend, if there is one (QMP cannot list them)."""
    try:
        monitor.execute("netdev_del", {"id": name(slot)})
    except Refused as refusal:
        if "not found" not in str(refusal): raise


def _exists(interface: str) -> bool:
    return Path(f"/sys/class/net/{interface}").exists()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise HypervisorFailure(f"{command[0]} did not end within 60 s") from error
    if done.returncode: raise HypervisorFailure(f"{' '.join(command[:4])}: {done.stderr.strip()}")
