"""What hosts count reaches telemetry only for servers that are theirs."""
from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pilvi.compute import conductor
from pilvi.compute.agent import meter
from pilvi.compute.drivers.interface import Disk, Machine, Nic
from pilvi.compute.drivers.simulated import Failures, Simulated
from pilvi.compute.resources import diagnostics
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


def test_the_host_s_own_processors() -> None:
    stat = "cpu  1000 200 300 4000 50 6 7 0 0 0\ncpu0 1 2 3 4 5\n"
    found = meter.processor(stat, "processor : 0\ncpu MHz\t\t: 2000.0\nprocessor : 1\ncpu MHz\t\t: 3000.0\n")
    assert found == {"user": 12.0, "kernel": 3.0, "idle": 40.0, "iowait": 0.5, "frequency": 2500.0}


def test_diagnostics_in_both_forms() -> None:
    driver = Simulated("node1", seed=1, latencies={}, failures=Failures([]), state_path=None)
    driver.create(Machine(server_id="s", name="x", vcpus=2, memory_mib=64, disks=[Disk(id="root", device="vda", size_gib=1)],
                          nics=[Nic(port_id="port-1", mac="fa:16:3e:00:00:01", mtu=1500, binding={})]))
    counted = {**driver.statistics("s"), "hypervisor": "simulated"}
    row = Server(id="s", state="active", flavor={"vcpus": 2}, launched_at=100.0, network_info=[{"port_id": "port-1",
                                                                                                "mac": "fa:16:3e:00:00:01"}])
    found = diagnostics.standard(row, counted, 160.0)
    assert (found["uptime"], found["num_cpus"], found["num_disks"], found["num_nics"], found["state"]) == (60, 2, 1, 1, "running")
    assert found["nic_details"][0]["mac_address"] == "fa:16:3e:00:00:01" and found["memory_details"]["maximum"] == 64
    assert {"cpu0_time", "memory", "vda_read", "tapport-1_rx", "tapport-1_tx_drop"} <= set(diagnostics.older(counted))
