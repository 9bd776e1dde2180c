"""What the machines of this process's hosts did so far: sampled together, sent in batches, no answer awaited.

A sample is what the driver counts (`Hypervisor.statistics`); what it means, and whose it is, is told by control.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pilvi.compute.drivers.interface import Hypervisor
from pilvi.core import clock
from pilvi.core.bus.interface import Bus

SERVERS_AT_ONCE = 300
"""In one message: some 400 kB."""


def sample(drivers: Mapping[str, Hypervisor]) -> Iterator[dict[str, Any]]:
    """Messages for the conductor: {at, servers: [(host, server id, power, counters or None)]}."""
    batch: list[tuple[str, str, str, dict[str, Any] | None]] = []
    for host, driver in drivers.items():
        power, at = driver.power(), clock.now()
        counted = driver.all_statistics() if power else {}
        for server_id, state in power.items():
            batch.append((host, server_id, state, counted.get(server_id)))
            if len(batch) == SERVERS_AT_ONCE:
                yield {"at": at, "servers": batch}
                batch = []
    if batch: yield {"at": clock.now(), "servers": batch}


def send(bus: Bus, drivers: Mapping[str, Hypervisor]) -> None:
    """Samples every machine and tells the conductor; what gets lost comes again the next time."""
    for message in sample(drivers): bus.cast("compute.conductor", "samples", message)
