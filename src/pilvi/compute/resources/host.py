"""Hosts: what agents report of themselves, shown as compute services, hypervisors and availability zones.

Source: Compute API, "Compute services", "Hypervisors", "Availability zones"; microversions 2.11, 2.53 (ids are UUIDs), 2.69, 2.88.
"""
from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.compute import errors
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.errors import Conflict
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base

SNAPSHOT_SECONDS = 1.0
READING_SHARE = 20
"""A reading of all hosts is good for twenty times as long as it took: with ten thousand, reading takes five per cent of the time."""


class Host(Base):
    __tablename__ = "compute_hosts"
    name: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(default=new_id)
    zone: Mapped[str] = mapped_column(default="nova")
    enabled: Mapped[bool] = mapped_column(default=True)
    forced_down: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    seen_at: Mapped[float] = mapped_column(Instant, default=0.0, index=True)
    capabilities: Mapped[Any] = mapped_column(Json, default=dict)
    """What the driver reports (drivers.interface.Capabilities), as a dict."""
    worker: Mapped[str] = mapped_column(default="")
    failed_builds: Mapped[int] = mapped_column(default=0)


class Fleet:
    """All hosts as of a moment ago: ten thousand rows are not read for each boot."""

    def __init__(self) -> None:
        self.good_until, self.hosts = 0.0, list[Any]()
        self.lock = threading.Lock()

    def all(self, db: Session) -> list[Any]:
        """The hosts' rows (plain), at most SNAPSHOT_SECONDS old, or somewhat older if they are thousands."""
        if clock.monotonic() < self.good_until: return self.hosts
        with self.lock:
            if (begun := clock.monotonic()) < self.good_until: return self.hosts
            self.hosts = list(db.execute(select(Host.__table__).order_by(Host.name)))
            took = clock.monotonic() - begun
            self.good_until = begun + max(SNAPSHOT_SECONDS, READING_SHARE * took)
        return self.hosts

    def forget(self) -> None:
        """Something about a host changed."""
        self.good_until = 0.0


def _status(call: Call, row: Any) -> tuple[str, str]:
    assert call.application is not None
    up = not row.forced_down and row.seen_at > call.application.silent_since(call.application.config.silent_seconds)
    return "enabled" if row.enabled else "disabled", "up" if up else "down"


def _service(call: Call, row: Any) -> dict[str, Any]:
    status, state = _status(call, row)
    shown: dict[str, Any] = {
        "id": row.id if call.version >= (2, 53) else int(row.id.replace("-", "")[:7], 16), "binary": "nova-compute", "host": row.name,
        "zone": row.zone, "status": status, "state": state, "updated_at": clock.iso(row.seen_at, fraction=True, zone=""),
        "disabled_reason": row.disabled_reason}
    return shown | {"forced_down": row.forced_down} if call.version >= (2, 11) else shown


def list_services(call: Call) -> dict[str, Any]:
    """GET /os-services: the agents, and the workers of the control process"""
    assert call.db is not None and call.request is not None
    query = dict(call.request.query)
    shown = [_service(call, row) for row in call.db.execute(select(Host.__table__).order_by(Host.name))]
    now = clock.iso(clock.now(), fraction=True, zone="")
    shown += [{"id": f"00000000-0000-4000-8000-00000000000{n}" if call.version >= (2, 53) else n, "binary": binary, "host": "control",
               "zone": "internal", "status": "enabled", "state": "up", "updated_at": now, "disabled_reason": None,
               **({"forced_down": False} if call.version >= (2, 11) else {})}
               for n, binary in ((1, "nova-scheduler"), (2, "nova-conductor"))]
    return {"services": [s for s in shown if query.get("binary", s["binary"]) == s["binary"] and query.get("host", s["host"]) == s["host"]]}


def update_service(call: Call, id: str) -> dict[str, Any]:
    """PUT /os-services/{id} (2.53)"""
    assert call.db is not None
    row = call.db.query(Host).where(Host.id == id).first()
    if row is None: raise errors.HostNotFound(id=id)
    _change(call, row, call.body)
    return {"service": _service(call, row)}


def switch_service(call: Call, id: str) -> dict[str, Any]:
    """PUT /os-services/{enable,disable,disable-log-reason,force-down} (until 2.52)"""
    assert call.db is not None
    row = call.db.get(Host, call.body["host"])
    if row is None: raise errors.HostNotFound(id=call.body["host"])
    wanted = {"enable": {"status": "enabled"}, "disable": {"status": "disabled"},
        "force-down": {"forced_down": call.body.get("forced_down")},
              "disable-log-reason": {"status": "disabled", "disabled_reason": call.body.get("disabled_reason")}}.get(id)
    if wanted is None: raise errors.HostNotFound(id=id)
    _change(call, row, wanted)
    return {"service": {"host": row.name, "binary": "nova-compute", "status": "enabled" if row.enabled else "disabled"}}


def _change(call: Call, row: Host, wanted: dict[str, Any]) -> None:
    assert call.application is not None and call.db is not None
    if "status" in wanted: row.enabled, row.disabled_reason = wanted["status"] == "enabled", wanted.get("disabled_reason")
    if wanted.get("forced_down") is not None: row.forced_down = bool(wanted["forced_down"])
    call.db.flush()
    call.application.state["fleet"].forget()


def delete_service(call: Call, id: str) -> None:
    """DELETE /os-services/{id}: forgets a host that has no servers."""
    assert call.db is not None and call.application is not None
    row = call.db.query(Host).where(Host.id == id).first()
    if row is None: raise errors.HostNotFound(id=id)
    server = next(r for r in call.application.service.resources if r.name == "server").table
    if call.db.query(server).where(server.__table__.c.host == row.name, server.__table__.c.deleted_at.is_(None)).first():
        raise Conflict(reason=f"host {row.name} has servers; delete or move them first")
    call.db.delete(row)
    call.application.state["fleet"].forget()


def _hypervisor(call: Call, row: Any, detail: bool) -> dict[str, Any]:
    assert call.db is not None and call.application is not None
    status, state = _status(call, row)
    shown: dict[str, Any] = {"id": row.id if call.version >= (2, 53) else int(row.id.replace("-", "")[:7], 16),
                             "hypervisor_hostname": row.name, "status": status, "state": state}
    if not detail: return shown
    offers = row.capabilities or {}
    shown |= {"hypervisor_type": offers.get("hypervisor_type", ""), "hypervisor_version": offers.get("hypervisor_version", 0),
        "host_ip": "127.0.0.1",
              "service": {"id": shown["id"], "host": row.name, "disabled_reason": row.disabled_reason}}
    if call.version >= (2, 88): return shown | {"uptime": None, "servers": []}
    server: Any = next(r for r in call.application.service.resources if r.name == "server").table
    running = call.db.scalar(select(func.count()).select_from(server).where(server.host == row.name, server.deleted_at.is_(None))) or 0
    used = [f for f in call.db.scalars(select(server.flavor).where(server.host == row.name, server.deleted_at.is_(None)))]
    cores, ram, disk = (sum(f[k] for f in used) for k in ("vcpus", "ram", "disk"))
    total = {k: offers.get(k, 0) for k in ("vcpus", "memory_mib", "disk_gib")}
    return shown | {"vcpus": total["vcpus"], "vcpus_used": cores, "memory_mb": total["memory_mib"], "memory_mb_used": ram,
                    "free_ram_mb": total["memory_mib"] - ram, "local_gb": total["disk_gib"], "local_gb_used": disk,
                    "free_disk_gb": total["disk_gib"] - disk, "disk_available_least": total["disk_gib"] - disk, "running_vms": running,
                    "current_workload": 0, "cpu_info": {"arch": offers.get("architecture", ""), "model": offers.get("accelerator", "")}}


def list_hypervisors(call: Call, *, detail: bool) -> dict[str, Any]:
    """GET /os-hypervisors and /os-hypervisors/detail"""
    assert call.db is not None
    return {"hypervisors": [_hypervisor(call, row, detail) for row in call.db.execute(select(Host.__table__).order_by(Host.name))]}


def show_hypervisor(call: Call, id: str) -> dict[str, Any]:
    """GET /os-hypervisors/{id}"""
    assert call.db is not None
    rows = call.db.execute(select(Host.__table__))
    row = next((r for r in rows if id in (r.id, str(int(r.id.replace("-", "")[:7], 16)))), None)
    if row is None: raise errors.HostNotFound(id=id)
    return {"hypervisor": _hypervisor(call, row, True)}


def list_zones(call: Call, *, detail: bool) -> dict[str, Any]:
    """GET /os-availability-zone and /detail"""
    assert call.db is not None
    zones: dict[str, list[Any]] = {}
    for row in call.db.execute(select(Host.__table__).order_by(Host.name)): zones.setdefault(row.zone, []).append(row)
    shown = []
    for zone, rows in sorted(zones.items()):
        hosts = {r.name: {"nova-compute": {"active": r.enabled, "available": _status(call, r)[1] == "up",
                                           "updated_at": clock.iso(r.seen_at, fraction=True, zone="")}} for r in rows}
        shown.append({"zoneName": zone, "zoneState": {"available": any(r.enabled for r in rows)}, "hosts": hosts if detail else None})
    return {"availabilityZoneInfo": shown}


CHANGE = {"type": "object", "properties": {"status": {"enum": ["enabled", "disabled"]}, "forced_down": {"type": "boolean"},
                                           "disabled_reason": {"type": "string", "maxLength": 255, "minLength": 1}},
                                           "additionalProperties": False}
NAMED = {"type": "object", "required": ["host"], "properties": {"host": {"type": "string"}, "binary": {"type": "string"},
                                                                "forced_down": {"type": "boolean"}, "disabled_reason": {"type": "string"}}}
_S, _H, _Z = "os_compute_api:os-services:", "os_compute_api:os-hypervisors:list", "os_compute_api:os-availability-zone:"
RULES = {_S + "list": Rule("role:admin"), _S + "update": Rule("role:admin"), _S + "delete": Rule("role:admin"), _H: Rule("role:admin"),
         _Z + "list": Rule("@"), _Z + "detail": Rule("role:admin")}
ROUTES = [
    Route("/v2.1/os-services", "GET", list_services, _S + "list", transaction="read"),
    route("/v2.1/os-services/{id}", "PUT", update_service, _S + "update", since="2.53", transaction="write", body=CHANGE),
    route("/v2.1/os-services/{id}", "PUT", switch_service, _S + "update", until="2.52", transaction="write", body=NAMED),
    Route("/v2.1/os-services/{id}", "DELETE", delete_service, _S + "delete", status=204, transaction="write"),
    Route("/v2.1/os-hypervisors", "GET", lambda call: list_hypervisors(call, detail=False), _H, transaction="read"),
    Route("/v2.1/os-hypervisors/detail", "GET", lambda call: list_hypervisors(call, detail=True), _H, transaction="read"),
    Route("/v2.1/os-hypervisors/{id}", "GET", show_hypervisor, _H, transaction="read"),
    Route("/v2.1/os-availability-zone", "GET", lambda call: list_zones(call, detail=False), _Z + "list", transaction="read"),
    Route("/v2.1/os-availability-zone/detail", "GET", lambda call: list_zones(call, detail=True), _Z + "detail", transaction="read"),
]
