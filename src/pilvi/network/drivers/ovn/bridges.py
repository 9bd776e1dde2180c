"""Open vSwitch on one host: its database, its bridges and the settings OVN reads from it, through ovs-vsctl on the host's own socket.

Names carry the cloud's tag, so that two clouds can live on one machine.
"""
from __future__ import annotations

import hashlib
import json
import secrets
import socket
import struct
from pathlib import Path
from typing import Any

from pilvi.network.drivers.interface import NetworkFailure
from pilvi.network.drivers.ovn.commands import run, succeeds

SECONDS = 60
"""How long ovs-vsctl waits for vswitchd to do what the database says."""

NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, NLM_F_REQUEST, NLMSG_ERROR = 16, 16, 3, 2, 1, 2


TAG_LENGTH = 8

SHARED_DEVICE, TRIES = "ovs-netdev", 3


class Switch:
    """The bridges of one host. `integration` is where guests are plugged, `external` the way out, `tunnel` the userspace datapath's own."""

    def __init__(self, directory: Path, tag: str) -> None:
        self.remote = f"unix:{directory}/db.sock"
        # Names of interfaces have at most 15 characters.
        if not 0 < len(tag) <= TAG_LENGTH: raise ValueError(f"the tag '{tag}' must have 1 to {TAG_LENGTH} characters")
        self.integration, self.external, self.tunnel = (f"br-{kind}-{tag}" for kind in ("int", "ext", "phy"))
        self.device = f"ovsnd-{tag}"

    def vsctl(self, *arguments: str) -> str:
        """Change the configuration and wait until vswitchd has done it."""
        return run(["ovs-vsctl", f"--db={self.remote}", f"--timeout={SECONDS}", *arguments])

    def configure(self, settings: dict[str, str]) -> None:
        """Write settings that ovn-controller reads; vswitchd need not run."""
        run(["ovs-vsctl", f"--db={self.remote}", "--no-wait", "--", "init", "--", "set", "Open_vSwitch", ".",
             *(f"external_ids:{name}={json.dumps(value)}" for name, value in settings.items())])

    def datapath(self) -> str:
        """The datapath of the bridges that exist, else the one this kernel offers: system or netdev."""
        kind = run(["ovs-vsctl", f"--db={self.remote}", "--no-wait", "--if-exists", "get", "Bridge", self.integration, "datapath_type"])
        return kind.strip().strip('"') or kernel_datapath()

    def add_bridge(self, name: str, datapath: str, *options: str) -> None:
        """Make a bridge unless it exists. It has an address of its own choice that stays, so that routers need not learn it again."""
        digest = hashlib.sha256(f"{self.remote} {name}".encode()).digest()
        mac = "02:" + ":".join(f"{byte:02x}" for byte in digest[:5])
        self.vsctl("--may-exist", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={datapath}",
                   f'other-config:hwaddr="{mac}"', *options)

    def add_integration(self, datapath: str) -> None:
        """Make the bridge of the guests, and give the userspace datapath's own device our name, so that another cloud's vswitchd on this
        machine can make one. One cloud at a time.

        Every vswitchd calls it ovs-netdev and cannot start its bridges while a device of that name exists; it holds the device by its
        descriptor and does not miss the name (tried with Open vSwitch 3.1). Where our bridges are up, the device of that name is ours.
        """
        options = ("fail_mode=secure", "other-config:disable-in-band=true")
        self.add_bridge(self.integration, datapath, *options)
        if datapath != "netdev": return
        for _ in range(TRIES):
            if _exists(self.integration): break
            clear_datapath_name()
            self.vsctl("--if-exists", "del-br", self.integration)
            self.add_bridge(self.integration, datapath, *options)
        else: raise NetworkFailure(f"Open vSwitch could not make the bridge {self.integration} (vswitchd.log says why).")
        if _exists(SHARED_DEVICE) and not _exists(self.device): run(["ip", "link", "set", SHARED_DEVICE, "name", self.device])

    def remove_leftovers(self) -> None:
        """Remove the devices that a vswitchd leaves when it is killed (it makes them persistent). Only while it does not run."""
        for name in (self.device, self.integration, self.external, self.tunnel):
            if _exists(name): run(["ip", "link", "delete", name])

    def interfaces(self) -> dict[str, dict[str, str]]:
        """{interface: its external_ids}"""
        answer: dict[str, Any] = json.loads(self.vsctl("--format=json", "--columns=name,external_ids", "list", "Interface"))
        return {name: dict(ids[1]) for name, ids in answer["data"]}

    def remove_all(self) -> None:
        """Remove all bridges with their ports."""
        for name in self.vsctl("list-br").split(): self.vsctl("--if-exists", "del-br", name)


def clear_datapath_name() -> None:
    """Nobody is to have the name that every vswitchd wants: a device whose vswitchd was killed before it was renamed goes, one that is in
    use gets another name. One cloud at a time."""
    if not _exists(SHARED_DEVICE): return
    held = any(_holds(process, SHARED_DEVICE) for process in Path("/proc").glob("[0-9]*"))
    if held: run(["ip", "link", "set", SHARED_DEVICE, "name", f"ovsnd-{secrets.token_hex(4)}"])
    else: run(["ip", "link", "delete", SHARED_DEVICE])


def _holds(process: Path, device: str) -> bool:
    """Has a vswitchd this tap device open?"""
    try:
        if (process / "comm").read_text().strip() != "ovs-vswitchd": return False
        return any(f"iff:\t{device}\n" in file.read_text() for file in (process / "fdinfo").iterdir())
    except OSError: return False  # it has ended


def kernel_datapath() -> str:
    """"system" when the kernel switches packets itself and no other Open vSwitch does so here, else "netdev" (in vswitchd, slower).

    A kernel has one datapath, and a second vswitchd would take the first one's ports out of it.
    """
    succeeds(["modprobe", "--quiet", "openvswitch"])
    if _exists("ovs-system"): return "netdev"
    return "system" if _has_netlink_family("ovs_datapath") else "netdev"


def _exists(interface: str) -> bool:
    return Path(f"/proc/sys/net/ipv4/conf/{interface}").exists()


def _has_netlink_family(name: str) -> bool:
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), CTRL_ATTR_FAMILY_NAME) + text + b"\0" * (-len(text) % 4)
    body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as netlink:
        netlink.settimeout(5)
        netlink.send(struct.pack("=IHHII", 16 + len(body), GENL_ID_CTRL, NLM_F_REQUEST, 1, 0) + body)
        answer = netlink.recv(4096)
    return bool(struct.unpack_from("=H", answer, 4)[0] != NLMSG_ERROR)
