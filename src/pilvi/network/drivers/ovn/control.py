"""The control half: OVN's two databases and northd in a directory of this cloud, and the northbound made equal to a topology.

Unprivileged. Hosts join at the southbound database: over its unix socket on this machine, over mutual TLS from others (`listen`).
"""
from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pilvi.network.drivers.interface import NetworkFailure, Port, Topology, Verdict
from pilvi.network.drivers.ovn import keys
from pilvi.network.drivers.ovn.daemons import Daemon, create_database, missing
from pilvi.network.drivers.ovn.desired import desired_rows
from pilvi.network.drivers.ovn.lookup import Lookup
from pilvi.network.drivers.ovn.northbound import SCHEMA_PATH, Northbound
from pilvi.network.drivers.ovn.replica import Moved
from pilvi.network.drivers.ovn.rows import describe, plan
from pilvi.network.drivers.ovn.southbound import Chassis, Southbound
from pilvi.network.drivers.ovn.trace import Question, explain

SOUTHBOUND_SCHEMA_PATH = "/usr/share/ovn/ovn-sb.ovsschema"
PHYSICAL_NETWORK = "external"
"""The one provider network of a host: its bridge to the outside."""

ATTEMPTS = 5
"""How often a change is planned again when its database restarts or changes under it."""

log = logging.getLogger(__name__)


class Ovn:
    """`directory` keeps databases, sockets, pid files and logs; `listen` is "IP:PORT" for hosts on other machines, or None."""

    def __init__(self, directory: Path, *, cloud_id: str, listen: str | None = None) -> None:
        self.directory = directory.absolute()
        self.cloud_id = cloud_id
        self.listen = listen
        self._lock = threading.RLock()
        self._northbound: Northbound | None = None
        self._southbound: Southbound | None = None
        self._status_changed: Callable[[str, bool], None] = lambda port_id, up: None
        self._applied: tuple[Topology, dict[str, tuple[str, ...]], int] | None = None
        self._lookup: Lookup | None = None

    def start(self, *, status_changed: Callable[[str, bool], None]) -> None:
        """Start or adopt the daemons and connect; from now on report ports as they come up or go down. Also repairs: may be repeated."""
        with self._lock:
            self._status_changed = status_changed
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.listen: keys.make(self.directory)
            for daemon, schema in zip(self._daemons(), (SCHEMA_PATH, SOUTHBOUND_SCHEMA_PATH, None), strict=True):
                if schema and daemon.pid() is None: create_database(self.directory / f"{daemon.name}.db", schema)
                if daemon.start(): log.info("started %s in %s", daemon.name, self.directory)
            if self._northbound is None:
                self._northbound = Northbound(self._socket("nb"), self.cloud_id, self._report)
                self._southbound = Southbound(self._socket("sb"), SOUTHBOUND_SCHEMA_PATH)
            # Wait for both copies: the first apply must compare with what is there.
            self._northbound.up()
            self._sb.chassis()

    def apply(self, topology: Topology) -> list[str]:
        """Make the northbound equal the topology; a line for each row changed. Nothing is written when nothing differs."""
        with self._lock:
            for _ in range(ATTEMPTS - 1):
                with contextlib.suppress(Moved): return self._apply(topology)
            return self._apply(topology)

    def up(self) -> dict[str, bool]:
        """Of every port: does its host serve it?"""
        return self._nb.up()

    def binding(self, host: str, port_id: str) -> dict[str, Any]:
        """What a hypervisor needs to plug a port on that host; the host told it when it joined. NetworkFailure when it has not."""
        chassis = self._chassis(host)
        return {"vif_type": "ovs", "vif_details": {
            "bridge": unquote(chassis.options.get("pilvi-bridge", "")), "ovsdb": unquote(chassis.options.get("pilvi-ovsdb", "")),
            "datapath": chassis.datapath, "iface_id": port_id, "port_filter": True, "connectivity": "l2"}}

    def explain(self, source: Port, destination: str, protocol: str, port: int | None) -> Verdict:
        """Would a packet from this port to that address get there? Asks OVN itself (ovn-trace) about the flows it made."""
        if self._lookup is None: raise NetworkFailure("Nothing has been applied yet: there is nothing to explain.")
        return explain(Question(source, destination, protocol, port), self._lookup, self._nb, str(self.directory))

    def facts(self) -> dict[str, Any]:
        """What a host needs to join: the southbound database, keys for it when it is not on this machine, tunnels, physical networks."""
        found: dict[str, Any] = {
            "driver": "ovn", "southbound": self._socket("sb"), "tunnel": "geneve", "physical_network": PHYSICAL_NETWORK}
        if self.listen: found |= {"southbound": f"ssl:{self.listen}", "tls": keys.for_hosts(self.directory)}
        return found

    def health(self) -> str | None:
        """None when well, else a sentence."""
        if sentence := missing(self._daemons()): return sentence
        if self._northbound is None or self._southbound is None: return "The network backend was not started."
        if not (self._northbound.replica.connected() and self._southbound.replica.connected()): return "The OVN databases do not answer."
        return None

    def stop(self) -> None:
        """End the daemons; the databases stay."""
        self.close()
        for daemon in reversed(self._daemons()): daemon.stop()

    def close(self) -> None:
        """Let go of connections; the daemons run on."""
        with self._lock:
            for half in (self._northbound, self._southbound):
                if half: half.replica.close()
            self._northbound = self._southbound = self._applied = None

    def _apply(self, topology: Topology) -> list[str]:
        northbound, gateways = self._nb, self._sb.gateways()
        seen = northbound.changes
        if northbound.replica.connected() and self._applied == (topology, gateways, seen): return []
        self._lookup = Lookup(topology, self.cloud_id)
        actions = plan(desired_rows(topology, self.cloud_id, gateways), northbound.rows())
        if actions: northbound.execute(actions)
        # Remembered only after a look that found nothing to do: while we wrote, a stranger may have written too.
        self._applied = None if actions else (topology, gateways, seen)
        return [describe(action) for action in actions]

    def _daemons(self) -> list[Daemon]:
        def server(name: str, *more: str) -> Daemon:
            return Daemon(name, self.directory, (
                "ovsdb-server", f"--unixctl={self.directory}/{name}.ctl", f"--remote=punix:{self.directory}/{name}.sock", *more,
                f"{self.directory}/{name}.db"))
        remote: list[str] = []
        if self.listen:
            ip, _, number = self.listen.rpartition(":")
            remote = [f"--remote=pssl:{number}:{ip}", *keys.options(self.directory)]
        northd = (
            "ovn-northd", f"--unixctl={self.directory}/northd.ctl", f"--ovnnb-db={self._socket('nb')}", f"--ovnsb-db={self._socket('sb')}")
        return [server("nb"), server("sb", *remote), Daemon("northd", self.directory, northd)]

    def _socket(self, name: str) -> str:
        return f"unix:{self.directory}/{name}.sock"

    def _report(self, port_id: str, up: bool) -> None:
        self._status_changed(port_id, up)

    @property
    def _nb(self) -> Northbound:
        if self._northbound is None: raise NetworkFailure("The network backend was not started.")
        return self._northbound

    @property
    def _sb(self) -> Southbound:
        if self._southbound is None: raise NetworkFailure("The network backend was not started.")
        return self._southbound

    def _chassis(self, host: str) -> Chassis:
        chassis = self._sb.chassis().get(host)
        if chassis is None: raise NetworkFailure(f"Host {host} has not joined the network: its ovn-controller is not registered.")
        return chassis
