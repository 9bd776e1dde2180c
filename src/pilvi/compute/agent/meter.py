"""What the machines of this process's hosts did so far: sampled together, sent in batches, no answer awaited.

A sample is what the driver counts (`Hypervisor.statistics`); what it means, and whose it is, is told by control.
"""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import Hypervisor
from pilvi.core import clock
from pilvi.core.bus.interface import Bus

_TICKS = os.sysconf("SC_CLK_TCK")
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


def processor(stat: str, cpuinfo: str) -> dict[str, float]:
    """The host's own processors: seconds so far {user, kernel, idle, iowait} of all cores, and the mean frequency in MHz, of /proc/stat and
    /proc/cpuinfo. Source: proc(5)."""
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1:]]
    user, nice, kernel, idle, waiting = ticks[:5]
    found = {"user": (user + nice) / _TICKS, "kernel": kernel / _TICKS, "idle": idle / _TICKS, "iowait": waiting / _TICKS}
    speeds = [float(line.partition(":")[2]) for line in cpuinfo.splitlines() if line.startswith("cpu MHz")]
    return found | ({"frequency": sum(speeds) / len(speeds)} if speeds else {})


def send(bus: Bus, drivers: Mapping[str, Hypervisor], *, simulated: bool) -> None:
    """Samples every machine, and this one, and tells the conductor; what gets lost comes again the next time."""
    for message in sample(drivers): bus.cast("compute.conductor", "samples", message)
    if simulated: return
    own = processor(Path("/proc/stat").read_text(), Path("/proc/cpuinfo").read_text())
    bus.cast("compute.conductor", "host_samples", {"at": clock.now(), "host": next(iter(drivers)), "processor": own})
