"""What comes in by itself: samples of hosts, events, the census."""
from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT
from tests.requests.telemetry.conftest import Telemetry

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.events import Event
from pilvi.core.http import client
from pilvi.core.http.client import Message, Reply
from pilvi.telemetry.collect import census, events, series, servers
from pilvi.telemetry.resources.tables import LifecycleEvent, Metric, MetricResource

ID, OTHER_ID = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
DISK = {"device": "vda", "read_bytes": 10, "write_bytes": 20, "read_requests": 1, "write_requests": 2, "read_nanoseconds": 5,
        "write_nanoseconds": 6,
        "capacity_bytes": 100, "allocated_bytes": 50}
NIC = {f"{way}_{what}": 3 for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")}
T01 = {"instance": {"cpu", "memory", "memory.usage", "memory.available", "memory.resident", "vcpus", "disk.root.size",
                    "disk.ephemeral.size", "power.state",
                    "compute.instance.booting.time"},
       "instance_disk": {f"disk.device.{what}" for what in ("read.bytes", "write.bytes", "read.requests", "write.requests", "read.latency",
                                                             "write.latency", "capacity", "allocation", "usage")},
       "instance_network_interface": {f"network.{way}.{what}" for way in ("incoming", "outgoing") for what in ("bytes", "packets",
                                                                                                               "packets.drop",
                                                                                                               "packets.error")}}


def server(id: str = ID, project: str = PROJECT, **counted: Any) -> dict[str, Any]:
    flavor = {"id": "1", "name": "small", "vcpus": 2, "ram": 512, "disk": 10, "ephemeral": 0}
    counters = {"cpu_seconds": 1.5, "memory_mib": 512, "resident_mib": 200, "used_mib": 100, "available_mib": 500, "disks": {"root": DISK},
                "nics": {"port-1": NIC}}
    return {"id": id, "host": "node1", "project_id": project, "user_id": "u1", "name": "web", "flavor": flavor, "flavor_id": "1",
            "image_id": "img", "availability_zone": "nova", "meta": {"metering.server_group": "group"}, "created_at": 900.0,
            "launched_at": 910.0, "power": "running", "counted": counters | counted}


def sample(telemetry: Telemetry, at: float, *told: dict[str, Any]) -> None:
    servers.on_servers(telemetry.application, {"at": at, "servers": list(told)}, None)  # type: ignore[arg-type]


def event(seq: int, type: str, subject: str = ID, at: float = 1000.0, project: str = PROJECT, **payload: Any) -> Event:
    return Event("test", seq, type, at, subject, project, "u1", None, {"id": subject} | payload)


def test_every_meter_of_a_running_server_is_there(telemetry: Telemetry) -> None:
    sample(telemetry, 1000.0, server())
    events.on_events(telemetry.application, [event(1, "compute.instance.create.end", created_at=900.0, launched_at=910.0)])
    for kind, expected in T01.items():
        (thing,) = telemetry.get(f"/v1/resource/{kind}")
        assert set(thing["metrics"]) == expected and thing["project_id"] == PROJECT
        for name in expected:
            assert telemetry.get(f"/v1/resource/{kind}/{thing['id']}/metric/{name}/measures?granularity=60&aggregation=mean"), name
    shown = telemetry.get(f"/v1/resource/instance/{ID}")
    assert (shown["display_name"], shown["server_group"], shown["flavor_name"]) == ("web", "group", "small")


def test_counts_become_changes(telemetry: Telemetry) -> None:
    for minute in range(4): sample(telemetry, 960.0 + 60 * minute, server(cpu_seconds=30.0 * minute))
    path = f"/v1/resource/instance/{ID}/metric/cpu/measures?aggregation=rate:mean&granularity=60"
    assert [value for _, _, value in telemetry.get(path)] == [30e9, 30e9, 30e9]


def test_a_guest_that_lies_changes_only_its_own_meters(telemetry: Telemetry) -> None:
    wild: dict[str, Any] = {"used_mib": float("inf"), "available_mib": -5, "resident_mib": "much", "cpu_seconds": 1e300,
                            "disks": {"x": {"device": "v" * 5000, "read_bytes": 1 << 90,
                                            "write_bytes": True}}, "nics": {"p" * 900: {"rx_bytes": None}}}
    sample(telemetry, 1000.0, server(), server(OTHER_ID, OTHER_PROJECT, **wild))
    mine, theirs = (telemetry.get(f"/v1/resource/instance/{id}", who="admin")["metrics"] for id in (ID, OTHER_ID))
    assert set(mine) == T01["instance"] - {"compute.instance.booting.time"}
    assert not {"memory.usage", "memory.available", "memory.resident"} & set(theirs) and "vcpus" in theirs
    assert telemetry.get(f"/v1/resource/instance/{ID}/metric/memory.usage/measures")[0][2] == 100.0
    assert telemetry.ask("GET", f"/v1/resource/instance/{OTHER_ID}")[0] == 403


def test_a_sample_that_comes_twice_counts_once_and_deleted_metrics_come_back(telemetry: Telemetry) -> None:
    for _ in range(2): sample(telemetry, 1000.0, server())
    path = f"/v1/resource/instance/{ID}/metric/memory.usage"
    assert telemetry.get(path + "/measures?aggregation=count&granularity=60")[0][2] == 1
    assert telemetry.ask("DELETE", path, who="admin")[0] == 204
    for at in (1060.0, 1120.0, 1180.0): sample(telemetry, at, server())
    assert len(telemetry.get(path + "/measures?granularity=60")) == 2  # the first batch after the deletion found that it was gone


def test_what_is_deleted_ends_with_its_parts(telemetry: Telemetry) -> None:
    sample(telemetry, 1000.0, server(), server(OTHER_ID))
    for _ in range(2): events.on_events(telemetry.application, [event(7, "compute.instance.delete.end", at=1100.0)])
    for kind in T01:
        ended = {one.get("instance_id", one["id"]): one["ended_at"] for one in telemetry.get(f"/v1/resource/{kind}")}
        assert ended[OTHER_ID] is None and ended[ID] is not None, kind


def test_every_event_is_kept_once_and_can_be_counted(telemetry: Telemetry) -> None:
    told = [event(1, "volume.create.start"), event(2, "volume.create.end", size=5, name="data", project_id=PROJECT, created_at=990.0),
            event(3, "volume.extend.end", at=1090.0, size=9, name="data", project_id=PROJECT), event(4, "port.update",
                                                                                                     project=OTHER_PROJECT)]
    for batch in (told[:2], told, told[2:]): events.on_events(telemetry.application, batch)
    assert telemetry.get("/v1/event/count") == {"volume.create.start": 1, "volume.create.end": 1, "volume.extend.end": 1}
    assert telemetry.get("/v1/event/count?type=volume.create.*", who="admin") == {"volume.create.start": 1, "volume.create.end": 1}
    assert [(one["type"], "payload" in one) for one in telemetry.get("/v1/event?limit=1")] == [("volume.extend.end", False)]
    assert telemetry.get(f"/v1/event?subject={ID}", who="admin")[0]["payload"]
    sizes = [value for _, _, value in telemetry.get(f"/v1/resource/volume/{ID}/metric/volume.size/measures?granularity=60")]
    assert sizes == [5.0, 9.0] and telemetry.get(f"/v1/resource/volume/{ID}")["display_name"] == "data"
    for query in ("start=never", "limit=0", "limit=x"): assert telemetry.ask("GET", f"/v1/event?{query}")[0] == 400


def test_old_events_are_forgotten(telemetry: Telemetry) -> None:
    events.on_events(telemetry.application, [event(1, "image.delete", at=1000.0), event(2, "image.delete", at=9e9)])
    events.forget(telemetry.application)
    with telemetry.application.database.read() as db:
        assert list(db.scalars(select(LifecycleEvent.seq))) == [2]
        assert not db.scalar(select(func.count()).select_from(Metric))


def test_a_host_tells_of_its_own_processors(telemetry: Telemetry) -> None:
    for at, user, idle in ((1000.0, 10.0, 90.0), (1060.0, 40.0, 100.0)):
        told = {"at": at, "host": "node1", "processor": {"user": user, "kernel": 5.0, "idle": idle, "iowait": 1.0, "frequency": 2400.0}}
        servers.on_host(telemetry.application, told, None)  # type: ignore[arg-type]
    (thing,) = telemetry.get("/v1/resource/nova_compute", who="admin")
    assert telemetry.get("/v1/resource/nova_compute") == [] and thing["host_name"] == "node1"
    found = {name: telemetry.get(f"/v1/metric/{id}/measures?granularity=60", who="admin")[-1][2] for name, id in thing["metrics"].items()}
    assert found["compute.node.cpu.percent"] == 75.0 and found["compute.node.cpu.user.percent"] == 75.0
    assert found["compute.node.cpu.idle.percent"] == 25.0 and found["compute.node.cpu.frequency"] == 2400.0
    assert found["compute.node.cpu.idle.time"] == 100e9


def test_the_census_counts_through_the_services(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "volume": {"volumes": [{"id": ID, "size": 7, "name": "data", "os-vol-tenant-attr:tenant_id": PROJECT,
                                "created_at": "2026-01-01T00:00:00.0"}],
                   "snapshots": [{"id": OTHER_ID, "size": 3, "project_id": PROJECT}],
                   "pools": [{"name": "node1@file#file", "capabilities": {"total_capacity_gb": 9.5, "free_capacity_gb": 4.0,
                                                                          "allocated_capacity_gb": 5}}]},
        "image": {"images": [{"id": "33333333-3333-3333-3333-333333333333", "size": 123, "owner": PROJECT, "name": "linux",
                              "disk_format": "raw"},
                             {"id": "44444444-4444-4444-4444-444444444444", "size": None, "owner": PROJECT}]},
        "network": {"floatingips": [{"id": "55555555-5555-5555-5555-555555555555", "project_id": PROJECT}]},
        "objectstore": {"accounts": [{"account": "AUTH_x", "project_id": PROJECT, "containers": 1, "objects": 2, "bytes": 30,
                                      "received_bytes": 40,
                                      "sent_bytes": 50}]}}

    class Answering:
        name = "test"

        def __init__(self, service: str) -> None: self.service = service

        def send(self, message: Message) -> Reply: return Reply(200, {}, json.dumps(answers[self.service]).encode())

    for service in answers: monkeypatch.setitem(client.TRANSPORTS, service, Answering(service))
    telemetry.application.state["service_call"] = Call
    census.take(telemetry.application)
    found = {name: telemetry.get(f"/v1/metric/{id}/measures?granularity=60", who="admin")[-1][2]
             for thing in telemetry.get("/v1/resource/generic", who="admin") for name, id in thing["metrics"].items()}
    assert found == {"volume.size": 7, "snapshot.size": 3, "image.size": 123, "ip.floating": 1, "volume.provider.pool.capacity.total": 9.5,
                     "volume.provider.pool.capacity.free": 4, "volume.provider.pool.capacity.allocated": 5, "storage.objects": 2,
                     "storage.objects.size": 30, "storage.objects.containers": 1, "storage.objects.incoming.bytes": 40,
                     "storage.objects.outgoing.bytes": 50}
    assert telemetry.get(f"/v1/resource/volume/{ID}")["started_at"] == "2026-01-01T00:00:00+00:00"


def test_live_counters_are_asked_for_while_somebody_looks(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Compute:
        name = "test"

        def send(self, message: Message) -> Reply:
            asked.append(message.path)
            return Reply(200, {}, b'{"num_cpus": 1}')

    monkeypatch.setitem(client.TRANSPORTS, "compute", Compute())
    telemetry.application.state["service_call"] = Call
    sample(telemetry, 1000.0, server())
    for who in ("member", "reader"): assert telemetry.get(f"/v1/live/{ID}", who=who)["num_cpus"] == 1
    assert asked == [f"/v2.1/servers/{ID}/diagnostics"]
    assert telemetry.ask("GET", f"/v1/live/{ID}", who="other")[0] == 403 and telemetry.ask("GET", f"/v1/live/{OTHER_ID}")[0] == 404


def test_what_is_no_more_takes_no_room_for_ever(telemetry: Telemetry) -> None:
    now = clock.now()
    for ago in (500, 10, 0): sample(telemetry, now - ago * 86400, server(OTHER_ID) if ago == 0 else server())
    telemetry.policy(60)
    mine = telemetry.metric()
    telemetry.post(f"/v1/metric/{mine}/measures", [{"timestamp": 5, "value": 1}])
    events.on_events(telemetry.application, [event(1, "compute.instance.delete.end", at=now - 10 * 86400)])
    series.forget(telemetry.application)
    path = f"/v1/resource/instance/{ID}/metric/vcpus/measures"
    assert [len(telemetry.get(f"{path}?granularity={g}")) for g in (60, 300, 3600)] == [0, 0, 1]
    with telemetry.application.database.write() as db: series.end(db, [OTHER_ID], now)
    with telemetry.application.database.write() as db: db.execute(update(MetricResource).values(ended_at=now - 400 * 86400))
    series.forget(telemetry.application)
    assert telemetry.get("/v1/resource/generic") == [] and telemetry.get(f"/v1/metric/{mine}/measures")


def test_a_counter_that_begins_again_does_not_go_back(telemetry: Telemetry) -> None:
    told = [10.0, 40.0, 5.0, 25.0, 20.0]  # the machine was stopped and started before the third, and before the last
    for minute, seconds in enumerate(told):
        if minute == 3: telemetry.application.state["known_things"].clear()  # control was restarted meanwhile
        for _ in range(2): sample(telemetry, 960.0 + 60 * minute, server(cpu_seconds=seconds))
    path = f"/v1/resource/instance/{ID}/metric/cpu/measures?granularity=60&aggregation="
    assert [value / 1e9 for _, _, value in telemetry.get(path + "rate:sum")] == [30, 5, 20, 20]
    assert [value / 1e9 for _, _, value in telemetry.get(path + "last")] == [10, 40, 45, 65, 85]
