"""Servers' meters, from what their hosts counted.

Source: Ceilometer, "Measurements", OpenStack Compute: the same names and units. A host can tell only of its own servers (compute's
conductor sees to that), and a guest's word on its memory changes only its own meters.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pilvi.core.bus.interface import Message
from pilvi.core.http.app import Application
from pilvi.telemetry.collect import series
from pilvi.telemetry.collect.series import Meter, Thing

POWER = {"running": 1, "paused": 3, "stopped": 4, "crashed": 6}
"""Nova's power states."""
TIMES = ("user", "kernel", "idle", "iowait")
LARGEST = 2.0 ** 63
DISK = (("read.bytes", "read_bytes", "B"), ("write.bytes", "write_bytes", "B"), ("read.requests", "read_requests", "request"),
        ("write.requests", "write_requests", "request"), ("read.latency", "read_nanoseconds", "ns"),
        ("write.latency", "write_nanoseconds", "ns"))
DISK_LEVELS = (("capacity", "capacity_bytes"), ("allocation", "allocated_bytes"), ("usage", "allocated_bytes"))
NIC = (("incoming", "rx"), ("outgoing", "tx"))
NIC_COUNTS = (("bytes", "bytes", "B"), ("packets", "packets", "packet"), ("packets.drop", "dropped", "packet"),
              ("packets.error", "errors", "packet"))


def on_servers(application: Application, args: dict[str, Any], message: Message) -> None:
    """{at, servers: [{id, project_id, …, power, counted}]}: from compute's conductor."""
    series.take(application, [(args["at"], thing) for server in args["servers"] for thing in things_of(server)])


def on_host(application: Application, args: dict[str, Any], message: Message) -> None:
    """{at, host, processor: {user, kernel, idle, iowait (seconds), frequency}}: from compute's conductor. Percentages are of the time since
    the sample before, which this process remembers."""
    before: dict[str, dict[str, float]] = application.state.setdefault("host_processors", {})
    now = {name: float(value) for name, value in args["processor"].items() if _number(value)}
    meters = [Meter(f"compute.node.cpu.{name}.time", now[name] * 1e9, "ns", True) for name in TIMES if name in now]
    if "frequency" in now: meters.append(Meter("compute.node.cpu.frequency", now["frequency"], "MHz"))
    passed = {name: now[name] - before.get(args["host"], {}).get(name, now[name]) for name in TIMES if name in now}
    if (whole := sum(passed.values())) > 0:
        meters += [Meter(f"compute.node.cpu.{name}.percent", 100 * passed[name] / whole, "%") for name in passed]
        meters.append(Meter("compute.node.cpu.percent", 100 - 100 * (passed.get("idle", 0) + passed.get("iowait", 0)) / whole, "%"))
    before[args["host"]] = now
    host = str(args["host"])[:200]
    series.take(application, [(args["at"], Thing("nova_compute", host.replace("/", "_"), None, None, {"host_name": host}, meters))])


def things_of(server: dict[str, Any]) -> Iterator[Thing]:
    """A server with its disks and cards."""
    flavor, counted = server["flavor"] or {}, server["counted"] or {}
    owner = (server["project_id"], server["user_id"])
    yield Thing("instance", server["id"], *owner, attributes_of(server), list(_server_meters(server, flavor, counted)),
                server["created_at"])
    for disk in counted.get("disks", {}).values():
        name = str(disk.get("device", ""))[:32]
        meters = [Meter(f"disk.device.{word}", disk[key], unit, True) for word, key, unit in DISK if _number(disk.get(key))]
        meters += [Meter(f"disk.device.{word}", disk[key], "B") for word, key in DISK_LEVELS if _number(disk.get(key))]
        yield Thing("instance_disk", f"{server['id']}-{name}", *owner, {"name": name, "instance_id": server["id"]}, meters)
    for port_id, nic in counted.get("nics", {}).items():
        name = f"tap{port_id[:11]}"
        meters = [Meter(f"network.{way}.{word}", nic[f"{short}_{key}"], unit, True) for way, short in NIC
                  for word, key, unit in NIC_COUNTS if _number(nic.get(f"{short}_{key}"))]
        yield Thing("instance_network_interface", f"{server['id']}-{name}", *owner, {"name": name, "instance_id": server["id"]}, meters)


def _server_meters(server: dict[str, Any], flavor: dict[str, Any], counted: dict[str, Any]) -> Iterator[Meter]:
    yield Meter("power.state", POWER.get(server["power"], 0), "state")
    for name, value, unit in (("vcpus", flavor.get("vcpus"), "vcpu"), ("memory", flavor.get("ram"), "MB"),
                              ("disk.root.size", flavor.get("disk"), "GB"), ("disk.ephemeral.size", flavor.get("ephemeral", 0), "GB"),
                              ("memory.usage", counted.get("used_mib"), "MB"), ("memory.available", counted.get("available_mib"), "MB"),
                              ("memory.resident", counted.get("resident_mib"), "MB")):
        if _number(value): yield Meter(name, value, unit)  # type: ignore[arg-type]
    if _number(counted.get("cpu_seconds")): yield Meter("cpu", counted["cpu_seconds"] * 1e9, "ns", True)


def _number(value: Any) -> bool:
    """Is it one that can be stored?"""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < LARGEST


def attributes_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a server's resource, of what its record, or an event, says. `server_group` is what its metadata calls
    metering.server_group, by which groups that are scaled find their servers."""
    flavor, meta = facts.get("flavor") or {}, facts.get("meta") or {}
    found = {"host": facts.get("host"), "display_name": facts.get("name"), "flavor_id": flavor.get("id") or facts.get("flavor_id"),
             "flavor_name": flavor.get("name"), "image_ref": facts.get("image_id"), "availability_zone": facts.get("availability_zone"),
             "server_group": meta.get("metering.server_group"),
             "created_at": facts.get("created_at"), "launched_at": facts.get("launched_at")}
    return {name: value[:255] if isinstance(value, str) else value for name, value in found.items() if value}
