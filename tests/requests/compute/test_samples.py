"""What hosts count reaches telemetry only for servers that are theirs."""
from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pilvi.compute import conductor
from pilvi.compute.agent import meter
from pilvi.compute.drivers.interface import Disk, Machine
from pilvi.compute.drivers.simulated import Failures, Simulated
from pilvi.compute.resources.server import Server
from pilvi.compute.service import SERVICE
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application


def test_a_host_speaks_for_its_own_servers_only(tmp_path: Path) -> None:
    database, bus = Database(f"sqlite:///{tmp_path}/compute.sqlite"), MemoryBus()
    migrate(database, "compute", [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables])
    app = Application(SERVICE, database=database, bus=bus)
    heard: SimpleQueue[dict[str, Any]] = SimpleQueue()
    bus.serve("telemetry.collector", {"servers": lambda args, message: heard.put(args)})
    with database.write() as db:
        for id, host, deleted in (("mine", "node1", None), ("theirs", "node2", None), ("gone", "node1", 5.0)):
            db.add(Server(id=id, name=id, project_id="p1", user_id="u", state="active", host=host, flavor={"vcpus": 1}, flavor_id="1",
                          deleted_at=deleted))
    told = [("node1", id, "running", {"cpu_seconds": 1.0}) for id in ("mine", "theirs", "gone", "unknown")]
    conductor.samples(app, {"at": 7.0, "servers": told}, None)  # type: ignore[arg-type]
    args = heard.get(timeout=30)
    assert args["at"] == 7.0 and [(one["id"], one["project_id"], one["counted"]) for one in args["servers"]] == [("mine", "p1",
                                                                                                                  {"cpu_seconds": 1.0})]
    bus.close()
    app.close()
    database.close()


def test_many_machines_are_told_in_few_messages() -> None:
    driver = Simulated("node1", seed=1, latencies={}, failures=Failures([]), state_path=None)
    for number in range(meter.SERVERS_AT_ONCE + 5):
        driver.create(Machine(server_id=f"s{number}", name="x", vcpus=1, memory_mib=64, disks=[Disk(id="root", device="vda", size_gib=1)],
                              nics=[]))
    driver.stop("s0", 0)
    messages = list(meter.sample({"node1": driver}))
    assert [len(message["servers"]) for message in messages] == [meter.SERVERS_AT_ONCE, 5]
    counted = {id: (power, counters) for message in messages for _, id, power, counters in message["servers"]}
    assert counted["s0"] == ("stopped",
                             None) and counted["s1"][0] == "running" and counted["s1"][1]["disks"]["root"]["capacity_bytes"] == 1 << 30
