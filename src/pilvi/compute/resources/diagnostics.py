"""What a server's machine counts right now, asked of its host.

Source: Compute API, "Servers diagnostics"; microversion 2.48 (one form for all hypervisors). Administrators only.
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.server.states import ACTIVE, PAUSED
from pilvi.core import clock
from pilvi.core.bus.interface import RemoteFailure
from pilvi.core.conductor import agent_of
from pilvi.core.context import Call
from pilvi.core.errors import Unavailable
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule

RULE = "os_compute_api:os-server-diagnostics"
CALL_SECONDS = 20.0
DISK = (("errors_count", "errors"), ("read_bytes", "read_bytes"), ("read_requests", "read_requests"), ("write_bytes", "write_bytes"),
        ("write_requests", "write_requests"))
NIC = (("octets", "bytes"), ("packets", "packets"), ("drop", "dropped"), ("errors", "errors"))


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/diagnostics"""
    assert call.application is not None and call.application.bus is not None
    with call.application.database.read() as call.db: server = SERVERS.find(call, id)
    call.db = None
    if server.state not in (ACTIVE, PAUSED) or not server.host: raise errors.NotRunning(id=id, state=server.state)
    try:
        counted = call.application.bus.call(f"compute.agent.{agent_of(call.application, server.host)}", "statistics", {"server_id": id},
                                            deadline_seconds=CALL_SECONDS)
    except (RemoteFailure, Unavailable) as failure: raise errors.NotCounted(id=id, reason=failure.message) from None
    return standard(server, counted, clock.now()) if call.version >= (2, 48) else older(counted)


def standard(server: Any, counted: dict[str, Any], now: float) -> dict[str, Any]:
    """The form that all hypervisors share. The time of all virtual CPUs is told as the first one's: hosts count it together."""
    vcpus = int((server.flavor or {}).get("vcpus", 1))
    macs = {nic["port_id"]: nic["mac"] for nic in server.network_info or []}
    return {
        "state": "running" if server.state == ACTIVE else "paused", "driver": "libvirt", "hypervisor": counted.get("hypervisor"),
        "hypervisor_os": "linux", "config_drive": bool(server.config_drive), "num_cpus": vcpus, "num_disks": len(counted["disks"]),
        "num_nics": len(counted["nics"]), "uptime": int(now - (server.launched_at or now)),
        "cpu_details": [{"id": place, "time": int(counted["cpu_seconds"] * 1e9) if place == 0 else 0, "utilisation": None}
                        for place in range(vcpus)],
        "memory_details": {"maximum": counted["memory_mib"], "used": counted.get("used_mib") or counted.get("resident_mib") or 0},
        "disk_details": [{theirs: disk.get(ours, 0) for theirs, ours in DISK} for disk in counted["disks"].values()],
        "nic_details": [{"mac_address": macs.get(port_id)} | {f"{way}_{theirs}": nic.get(f"{way}_{ours}", 0) for way in ("rx", "tx")
                        for theirs, ours in NIC} | {"rx_rate": None, "tx_rate": None} for port_id, nic in counted["nics"].items()],
    }


def older(counted: dict[str, Any]) -> dict[str, Any]:
    """The form before 2.48: the names of libvirt."""
    found: dict[str, Any] = {"cpu0_time": int(counted["cpu_seconds"] * 1e9), "memory": counted["memory_mib"] << 10}
    if counted.get("resident_mib"): found["memory-rss"] = counted["resident_mib"] << 10
    for disk in counted["disks"].values():
        name = disk.get("device", "disk")
        found |= {f"{name}_read": disk.get("read_bytes", 0), f"{name}_read_req": disk.get("read_requests", 0),
                  f"{name}_write": disk.get("write_bytes", 0), f"{name}_write_req": disk.get("write_requests", 0),
                  f"{name}_errors": disk.get("errors", -1)}
    for port_id, nic in counted["nics"].items():
        name = f"tap{port_id[:11]}"
        found |= {f"{name}_{way}{tail}": nic.get(f"{way}_{ours}", 0) for way in ("rx", "tx") for tail, ours in (
            ("", "bytes"), ("_packets", "packets"), ("_drop", "dropped"), ("_errors", "errors"))}
    return found


RULES = {RULE: Rule("role:admin or role:service")}
ROUTES = [Route("/v2.1/servers/{id}/diagnostics", "GET", show, RULE)]
