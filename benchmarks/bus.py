"""What a call costs on each bus: `python benchmarks/bus.py [memory] [unix_socket] [nats]`. The other end is
a process of its own (memory: a thread)."""
from __future__ import annotations

import resource
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pilvi.core.bus.exchange import Exchange
from pilvi.core.bus.interface import NobodyListens
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.bus.nats import NatsBus
from pilvi.core.bus.unix_socket import UnixSocketHub

CALLS = 10_000
BODY = {"server_id": "8e3b7c1e-4b7f-4ad5-9a6b-7d0a3b5b2f10", "flavor": {"vcpus": 2, "memory_mib": 2048, "disk_gib": 20}, "text": "x" * 300}
PEER = Path(__file__).parents[1] / "tests/contract/bus_peer.py"


def main(kinds: list[str]) -> None:
    table = Table("bus", "median µs", "99 % µs", "calls/s, 16 at once", "CPU µs per call, all processes", title=f"{CALLS} calls of 0.5 kB")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder: table.add_row(kind, *measured(kind, Path(folder)))
    Console().print(table)


def measured(kind: str, folder: Path) -> list[str]:
    children: list[subprocess.Popen[bytes]] = []
    bus: Exchange
    if kind == "memory":
        bus = MemoryBus()
        bus.serve("peer", {"echo": lambda args, message: args})
    elif kind == "unix_socket":
        bus = UnixSocketHub(folder / "bus")
        children.append(subprocess.Popen([sys.executable, str(PEER), "client", str(folder / "bus"), "peer"]))
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        children.append(subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", str(port), "-l", str(folder / "log")]))
        bus = NatsBus([f"nats://127.0.0.1:{port}"], name="benchmark")
        children.append(subprocess.Popen([sys.executable, str(PEER), "nats", f"nats://127.0.0.1:{port}", "peer"]))
    bus.start()
    try:
        return figures(bus, [child.pid for child in children])
    finally:
        bus.close()
        for child in children: child.kill(); child.wait()


def figures(bus: Exchange, pids: list[int]) -> list[str]:
    def call(_: Any = None) -> float:
        began = time.perf_counter()
        bus.call("peer", "echo", BODY, deadline_seconds=30)
        return time.perf_counter() - began
    while True:
        try: call(); break
        except NobodyListens: time.sleep(0.1)
    cpu = cpu_seconds(pids)
    times = sorted(call() for _ in range(CALLS))
    spent = cpu_seconds(pids) - cpu
    with ThreadPoolExecutor(16) as callers:
        began = time.perf_counter()
        list(callers.map(call, range(CALLS)))
        rate = CALLS / (time.perf_counter() - began)
    return [f"{times[CALLS // 2] * 1e6:.0f}", f"{times[CALLS * 99 // 100] * 1e6:.0f}", f"{rate:.0f}", f"{spent / CALLS * 1e6:.0f}"]


def cpu_seconds(pids: list[int]) -> float:
    """Of this process and its children, while they run."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return own.ru_utime + own.ru_stime + ticks / 100


if __name__ == "__main__":
    main(sys.argv[1:] or ["memory", "unix_socket", "nats"])
