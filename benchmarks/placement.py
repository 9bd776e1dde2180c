"""What placement costs over many hosts, in process: `python benchmarks/placement.py [HOSTS …]` (1000 and 10000 if none are named)."""
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from pilvi.core.context import Call, Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application
from pilvi.core.http.client import connect
from pilvi.core.http.inprocess import InProcess
from pilvi.placement import client
from pilvi.placement.service import SERVICE

STOCK = {"VCPU": {"total": 64, "allocation_ratio": 4.0}, "MEMORY_MB": {"total": 262_144, "reserved": 512}, "DISK_GB": {"total": 2000}}
TRAITS = ["COMPUTE_NODE", "HW_CPU_X86_AVX2", "COMPUTE_IMAGE_TYPE_QCOW2"]
WANTED = {"VCPU": 2, "MEMORY_MB": 2048, "DISK_GB": 20}
CALL = Call(token="service")


def main(counts: list[int]) -> None:
    table = Table("what", *(f"{count} hosts" for count in counts), title="CPU milliseconds (wall)")
    columns = [measured(count) for count in counts]
    for name in columns[0]: table.add_row(name, *(column[name] for column in columns))
    Console().print(table)


def measured(count: int) -> dict[str, str]:
    """{what: its cost}"""
    with tempfile.TemporaryDirectory() as folder:
        application = started(Path(folder))
        hosts = [client.Host(f"host-{number}", STOCK, TRAITS) for number in range(count)]
        figures = {"put all hosts": cost(lambda: client.put_hosts(CALL, hosts)),
                   "put them again": cost(lambda: client.put_hosts(CALL, hosts)),
                   "first candidates": cost(lambda: client.candidates(CALL, WANTED, limit=1000)),
                   "1,000 candidates": cost(lambda: client.candidates(CALL, WANTED, limit=1000), 20)}
        ids = iter([found.provider_id for found in client.candidates(CALL, WANTED, limit=1000)] * 2)
        figures["claim"] = cost(lambda: client.claim(CALL, str(uuid4()), next(ids), WANTED, "project", "user"), 300)
        figures["1,000 candidates after 300 claims"] = cost(lambda: client.candidates(CALL, WANTED, limit=1000))
        figures["one host by name"] = cost(lambda: client.candidates(CALL, WANTED, limit=1, host="host-7"), 20)
        application.close()
        application.database.close()
    return figures


def started(folder: Path) -> Application:
    """A placement whose only caller is a service."""
    database = Database(f"sqlite:///{folder}/placement.sqlite")
    migrate(database, "placement", [table.__table__ for table in SERVICE.tables])
    application = Application(SERVICE, database=database)
    assert SERVICE.start
    SERVICE.start(application)
    application.authenticator.ask = lambda token, story: Identity("service", project_id="service", roles=("service",), expires_at=9e9)
    connect("placement", InProcess(application, "http://placement"))
    return application


def cost(act: Callable[[], Any], times: int = 1) -> str:
    """The mean of so many acts."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times): act()
    return f"{(time.process_time() - cpu) / times * 1e3:.2f} ({(time.perf_counter() - wall) / times * 1e3:.2f})"


if __name__ == "__main__": main([int(word) for word in sys.argv[1:]] or [1000, 10_000])
