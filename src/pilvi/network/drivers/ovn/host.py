"""The host half: Open vSwitch and ovn-controller in a directory of this cloud, the bridges, the way out, and the metadata ports. As
root."""
from __future__ import annotations

import contextlib
import fcntl
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pilvi.network.drivers.interface import NetworkFailure, Port, Subnet
from pilvi.network.drivers.ovn import keys, tunnel, uplink
from pilvi.network.drivers.ovn.bridges import Switch, clear_datapath_name
from pilvi.network.drivers.ovn.commands import run
from pilvi.network.drivers.ovn.daemons import Daemon, create_database, missing
from pilvi.network.drivers.ovn.metadata_port import MetadataPorts

SCHEMA_PATH = "/usr/share/openvswitch/vswitch.ovsschema"
LOOPBACK = "127.0.0.1"
"""Where tunnels of a cloud on one machine end: OVN wants an address, nothing is sent to it."""

TUNNEL_MEMORY = "tunnel.json"
"""What moved from the network card to the tunnel's bridge."""


class OvnHost:
    """`host` is the name this machine joins by. `external_cidr` and `external_gateway` are the external network's, of which this host is
    the way out; None: it has none, and other hosts' gateways serve its guests. `tag` (at most 8 characters) makes names on the host this
    cloud's own. `tunnel_ip` is this host's address for tunnels when there are several hosts.
    """

    def __init__(self, directory: Path, *, host: str, external_cidr: str | None, external_gateway: str | None, tag: str,
                 tunnel_ip: str | None = None) -> None:
        self.directory = directory.absolute()
        self.host = host
        self.external = (external_cidr, external_gateway) if external_cidr and external_gateway else None
        self.tag = tag
        self.tunnel_ip = tunnel_ip
        self.switch = Switch(self.directory, tag)
        self._metadata = MetadataPorts(self.switch, tag)
        self._lock = threading.RLock()
        self._tls: list[str] = []

    def start(self, facts: dict[str, Any]) -> None:
        """Start or adopt this host's daemons, bridges and way out, and join. Also repairs: may be repeated."""
        with self._lock:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if "tls" in facts:
                if not self.tunnel_ip: raise NetworkFailure(f"Host {self.host} joins others: it needs an address for tunnels (tunnel_ip).")
                self._tls = keys.install(self.directory, facts["tls"])
            database, switchd, controller = self._daemons()
            self._forget_former_boot(database)
            if database.pid() is None: create_database(self.directory / "conf.db", SCHEMA_PATH)
            database.start()
            datapath = self.switch.datapath()
            self.switch.configure(self._settings(facts, datapath))
            with _one_at_a_time():
                if switchd.pid() is None:
                    self.switch.remove_leftovers()
                    clear_datapath_name()
                switchd.start()
                self.switch.add_integration(datapath)
            if self.external: self.switch.add_bridge(self.switch.external, datapath)
            if self.tunnel_ip: tunnel.open_tunnel(self.switch, datapath, self.tunnel_ip, self.directory / TUNNEL_MEMORY)
            controller.start()
            if self.external: uplink.open_uplink(self.switch.external, self.tag, *self.external)

    def serve_metadata(self, port: Port, subnets: list[Subnet]) -> str:
        """Make 169.254.169.254 of the port's network reachable for guests on this host; returns the namespace in which to listen."""
        with self._lock: return self._metadata.serve(port, subnets)

    def drop_metadata(self, network_id: str) -> None:
        """Remove it again."""
        with self._lock: self._metadata.drop(network_id)

    def metadata_networks(self) -> set[str]:
        """Networks for which it exists on this host."""
        with self._lock: return self._metadata.networks()

    def health(self) -> str | None:
        """None when well, else a sentence."""
        if sentence := missing(self._daemons()): return sentence
        if self.external and not uplink.is_open(self.tag):
            return f"The external network's address translation (nft table {uplink.TABLE_PREFIX}{self.tag}) is gone."
        state = run(["ovn-appctl", "-t", self._control_socket(), "connection-status"]).strip()
        return None if state == "connected" else f"ovn-controller has no connection to the southbound database: {state}."

    def stop(self) -> None:
        """Leave the cloud and remove everything this cloud made on this host. Also after daemons died; may be repeated."""
        with self._lock:
            database, switchd, controller = self._daemons()
            if controller.pid() is not None:
                # Asked in this way it takes its host's row out of the southbound; by a signal it would only vanish.
                with contextlib.suppress(NetworkFailure): run(["ovn-appctl", "-t", self._control_socket(), "exit"])
                controller.ended()
            if (self.directory / "conf.db").exists():
                database.start()
                with _one_at_a_time():
                    if switchd.pid() is None: clear_datapath_name()
                    switchd.start()
                    self.switch.remove_all()
            self._metadata.remove_all()
            switchd.stop()
            self.switch.remove_leftovers()
            database.stop()
            tunnel.close_tunnel(self.switch, self.directory / TUNNEL_MEMORY)
            uplink.close_uplink(self.tag)
            if self.directory.exists(): shutil.rmtree(self.directory)

    def close(self) -> None:
        """Nothing is held: the daemons run on."""

    def _daemons(self) -> list[Daemon]:
        # Both programs find each other's sockets (br-int.mgmt) by this variable; ovn-controller 23.03 has no option for its own.
        environment = {"OVS_RUNDIR": str(self.directory), "OVN_RUNDIR": str(self.directory)}
        conf = f"unix:{self.directory}/db.sock"
        return [
            Daemon("conf", self.directory, (
                "ovsdb-server", f"--unixctl={self.directory}/conf.ctl", f"--remote=p{conf}", f"{self.directory}/conf.db"), environment),
            Daemon("vswitchd", self.directory, ("ovs-vswitchd", conf, f"--unixctl={self.directory}/vswitchd.ctl"), environment),
            Daemon("controller", self.directory, ("ovn-controller", conf, *self._tls), environment),
        ]

    def _settings(self, facts: dict[str, Any], datapath: str) -> dict[str, str]:
        settings = {
            "system-id": self.host, "hostname": self.host, "ovn-remote": facts["southbound"], "ovn-bridge": self.switch.integration,
            "ovn-encap-type": facts["tunnel"], "ovn-encap-ip": self.tunnel_ip or LOOPBACK, "ovn-monitor-all": "true",
            # A busy machine pauses a daemon for seconds; that is not a lost connection.
            "ovn-remote-probe-interval": "60000", "ovn-openflow-probe-interval": "60",
            "ovn-bridge-mappings": f"{facts['physical_network']}:{self.switch.external}" if self.external else "",
            "ovn-cms-options": f"pilvi-bridge={quote(self.switch.integration)},pilvi-ovsdb={quote(self.switch.remote)}"}
        # Unset, OVN takes the kernel's datapath.
        return settings | ({"ovn-bridge-datapath-type": datapath} if datapath == "netdev" else {})

    def _control_socket(self) -> str:
        controller = self._daemons()[2]
        return f"{self.directory}/ovn-controller.{controller.pid()}.ctl"

    def _forget_former_boot(self, database: Daemon) -> None:
        """After a restart of the machine no interface of the old database exists any more: begin with a new one."""
        boot, memory = Path("/proc/sys/kernel/random/boot_id").read_text(), self.directory / "boot_id"
        if database.pid() is None and (not memory.exists() or memory.read_text() != boot):
            for name in ("conf.db", TUNNEL_MEMORY): (self.directory / name).unlink(missing_ok=True)
        memory.write_text(boot)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold off other clouds' hosts on this machine while the userspace datapath's device has the name that all of them use."""
    place = Path("/run/pilvi")
    place.mkdir(exist_ok=True)
    with (place / "vswitchd.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
