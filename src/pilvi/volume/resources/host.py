"""Hosts: where volumes can lie, as their agents report it; services, pools and availability zones are three views of them.

Source: Block Storage API v3, "Services (os-services)", "Back-end storage pools", "Availability zones"; microversion 3.49 (backend state).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock, listing
from pilvi.core.bus.interface import Message
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant
from pilvi.core.dialect import CINDER
from pilvi.core.http.app import Application
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, insert_many
from pilvi.core.wire import Base
from pilvi.volume import errors
from pilvi.volume.resources.tables import Volume
from pilvi.volume.scheduler.select import Host

SERVICES, SWITCH = "volume_extension:services:index", "volume_extension:services:update"
POOLS, ZONES = "scheduler_extension:scheduler_stats:get_pools", "volume:availability_zone_list"
RULES = {**{rule: Rule(PERSONAS["admin"]) for rule in (SERVICES, SWITCH, POOLS)}, ZONES: Rule(PERSONAS["anyone"])}


class VolumeHost(Base):
    """A host with a volume agent."""
    __tablename__ = "volume_hosts"
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), default=new_id)
    backend: Mapped[str] = mapped_column(String(64))
    total_mib: Mapped[int]
    free_mib: Mapped[int]
    reserve_mib: Mapped[int]
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    reported_at: Mapped[float] = mapped_column(Instant)


def report(application: Application, args: dict[str, Any], message: Message) -> None:
    """{hosts, backend, total_mib, free_mib, reserve_mib}: these hosts live, and this is what each has."""
    values = {name: args[name] for name in ("backend", "total_mib", "free_mib", "reserve_mib")} | {"reported_at": clock.now()}
    with application.database.write() as db:
        old = set(db.execute(select(VolumeHost.host)).scalars())
        new = [name for name in args["hosts"] if name not in old]
        insert_many(db, VolumeHost, [{"host": name, "id": new_id(), "disabled": False} | values for name in new])
        seen = [name for name in args["hosts"] if name in old]
        if seen: db.execute(update(VolumeHost).where(VolumeHost.host.in_(seen)).values(values))


def known(db: Session, silent_since: float) -> list[Host]:
    """The hosts as the scheduler sees them; silent are those that have not reported since (Application.silent_since)."""
    promised = dict(db.execute(select(Volume.host, func.sum(func.coalesce(Volume.new_size, Volume.size)))
                               .where(Volume.deleted_at.is_(None), Volume.host.is_not(None)).group_by(Volume.host)).all())
    return [Host(name=row.host, backend=row.backend, total_mib=row.total_mib, free_mib=row.free_mib, reserve_mib=row.reserve_mib,
                 promised_gib=int(promised.get(row.host) or 0), silent=row.reported_at < silent_since, disabled=row.disabled)
            for row in db.execute(select(VolumeHost).order_by(VolumeHost.host)).scalars()]


def list_services(call: Call) -> dict[str, Any]:
    """GET of os-services: the scheduler, which is part of the API, and the agents."""
    assert call.db is not None and call.request is not None and call.application is not None
    config, now = call.application.config, clock.now()
    shown: list[dict[str, Any]] = [{"binary": "cinder-scheduler", "host": "control", "zone": config.availability_zone, "status": "enabled",
                                    "state": "up", "updated_at": CINDER.time(now), "disabled_reason": None}]
    for row in call.db.execute(select(VolumeHost).order_by(VolumeHost.host)).scalars():
        state = "up" if row.reported_at >= call.application.silent_since(config.host_silence_seconds) else "down"
        shown.append({"binary": "cinder-volume", "host": f"{row.host}@{row.backend}", "zone": config.availability_zone,
                      "status": "disabled" if row.disabled else "enabled", "state": state, "updated_at": CINDER.time(row.reported_at),
                      "disabled_reason": row.disabled_reason, "replication_status": "disabled", "active_backend_id": None, "frozen": False})
        if call.version >= (3, 49): shown[-1]["backend_state"] = state
    binary, host = call.request.one("binary"), call.request.one("host")
    shown = [one for one in shown if binary in (None, one["binary"]) and host in (None, one["host"], one["host"].partition("@")[0])]
    return {"services": shown}


def _switch(call: Call, disabled: bool, reason: str | None) -> dict[str, Any]:
    assert call.db is not None
    row = call.db.get(VolumeHost, call.body["host"].partition("@")[0])
    if row is None: raise errors.HostNotFound(id=call.body["host"])
    row.disabled, row.disabled_reason = disabled, reason
    binary = call.body.get("binary", "")
    answer = {"host": call.body["host"], "service": binary, "binary": binary, "disabled": disabled,
              "status": "disabled" if disabled else "enabled"}
    return answer | ({"disabled_reason": reason} if reason else {})


def enable(call: Call) -> dict[str, Any]:
    """PUT: new volumes may come to the host."""
    return _switch(call, False, None)


def disable(call: Call) -> dict[str, Any]:
    """PUT: no new volumes for the host."""
    return _switch(call, True, call.body.get("disabled_reason"))


def pools(call: Call) -> dict[str, Any]:
    """GET of the pools: a host has one."""
    assert call.db is not None and call.request is not None and call.application is not None
    detail = listing.truth_of(call.request.one("detail"))
    shown: list[dict[str, Any]] = []
    for host in known(call.db, call.application.silent_since(call.application.config.host_silence_seconds)):
        pool: dict[str, Any] = {"name": f"{host.name}@{host.backend}#{host.backend}"}
        if detail: pool["capabilities"] = _capabilities(host)
        shown.append(pool)
    return {"pools": shown}


def _capabilities(host: Host) -> dict[str, Any]:
    return {"backend_state": "down" if host.silent else "up", "driver_version": "1", "free_capacity_gb": round(host.free_mib / 1024, 2),
            "total_capacity_gb": round(host.total_mib / 1024, 2), "allocated_capacity_gb": host.promised_gib,
            "provisioned_capacity_gb": host.promised_gib, "reserved_percentage": 0, "max_over_subscription_ratio": "20.0",
            "thin_provisioning_support": True, "thick_provisioning_support": False, "multiattach": False, "online_extend_support": False,
            "storage_protocol": host.backend, "vendor_name": "Pilvi", "volume_backend_name": host.backend, "QoS_support": False,
            "pool_name": host.backend, "location_info": host.name}


def zones(call: Call) -> dict[str, Any]:
    """GET of the zones; there is one."""
    assert call.application is not None
    return {"availabilityZoneInfo": [{"zoneName": call.application.config.availability_zone, "zoneState": {"available": True}}]}


BODY = {"type": "object", "required": ["host"], "properties": {
    "host": {"type": "string", "minLength": 1, "maxLength": 255}, "binary": {"type": "string", "maxLength": 255},
    "disabled_reason": {"type": "string", "minLength": 1, "maxLength": 255}, "cluster": {"type": ["string", "null"]}}}
ROUTES = [
    Route("/v3/os-services", "GET", list_services, SERVICES, transaction="read"),
    Route("/v3/os-services/enable", "PUT", enable, SWITCH, transaction="write", body=BODY),
    Route("/v3/os-services/disable", "PUT", disable, SWITCH, transaction="write", body=BODY),
    Route("/v3/os-services/disable-log-reason", "PUT", disable, SWITCH, transaction="write", body=BODY),
    Route("/v3/scheduler-stats/get_pools", "GET", pools, POOLS, transaction="read"),
    Route("/v3/os-availability-zone", "GET", zones, ZONES),
]
