"""The network agent: joins this host to the network, keeps its daemons alive, and opens the metadata address of networks."""
from __future__ import annotations

import time
from typing import Any

import msgspec
import structlog

from pilvi.core.bus.interface import Bus
from pilvi.core.errors import Failure
from pilvi.core.reconcile import Repeat, repaired
from pilvi.network.drivers.interface import HostBackend, Port, Subnet

LOG = structlog.get_logger()
HEALTH_SECONDS = 20.0
CALL_SECONDS = 30.0
PAUSE_SECONDS = 1.0


class NetworkAgent:
    """One host's network. With simulated hosts one stands for all."""

    def __init__(self, bus: Bus, host: str, backend: HostBackend) -> None:
        self.bus, self.host, self.backend = bus, host, backend
        self.facts: dict[str, Any] = {}
        self.loop = Repeat("network health", HEALTH_SECONDS, self.repair)

    def learn(self) -> None:
        """Asks control for the facts, until it answers; changes nothing on this host."""
        while True:
            try: self.facts = self.bus.call("network.conductor", "facts", {"host": self.host}, deadline_seconds=CALL_SECONDS)
            except Failure as failure: LOG.info("control is away", reason=failure.message)
            else: break
            time.sleep(PAUSE_SECONDS)

    def start(self) -> None:
        """Joins: starts this host's daemons, as `learn` was told."""
        self.backend.start(self.facts)
        self.bus.cast("network.conductor", "joined", {"host": self.host})
        self.loop.start()

    def stop(self, *, backend: bool) -> None:
        """Ends; with `backend` this host's daemons end too and everything it made on the machine is removed."""
        self.loop.stop()
        if backend: self.backend.stop()
        self.backend.close()

    def repair(self) -> None:
        """Starts again what died."""
        problem = self.backend.health()
        if problem is None: return
        repaired("network agent", "restart", problem=problem)
        self.backend.start(self.facts)

    def serve_metadata(self, network_id: str) -> str:
        """The namespace in which a metadata server must listen; empty where there is none. May be repeated. Raises NetworkFailure."""
        answer = self.bus.call("network.conductor", "metadata_port", {"network_id": network_id}, deadline_seconds=CALL_SECONDS)
        if answer.get("port") is None: return ""
        port, subnets = msgspec.convert(answer["port"], Port), msgspec.convert(answer["subnets"], list[Subnet])
        return self.backend.serve_metadata(port, subnets)


