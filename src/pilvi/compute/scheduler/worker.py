"""The scheduler as a worker: takes a request from the queue, reads hosts, lets the pure part choose, claims, and hands the task to the
host.

Boot steps 9 to 12. A claim that another request has won is tried on the next best host; what is left over of a lost race is released.
"""
from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pilvi.compute import errors
from pilvi.compute.resources.aggregate import aggregates_of
from pilvi.compute.resources.attachment import devices_of
from pilvi.compute.resources.host import Fleet
from pilvi.compute.resources.host import Host as HostRow
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.server_group import ServerGroup
from pilvi.compute.resources.task import Task
from pilvi.compute.scheduler.select import explain
from pilvi.compute.scheduler.select import select as choose
from pilvi.compute.scheduler.types import Aggregate, Host, Request
from pilvi.compute.server.boot import BOOT
from pilvi.core import conductor, task, trace
from pilvi.core.bus.interface import Message
from pilvi.core.context import Call
from pilvi.core.errors import Conflict
from pilvi.core.http.app import Application
from pilvi.placement import client as placement
from pilvi.volume import client as volume

RNG = random.Random(os.environ.get("PILVI_SEED"))
"""Decides between equals; a seed makes a simulated cloud repeat itself."""
EXPLAINED = 50


def select_host(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{task_id, attempt} → {host, spans}; the task is then the host's. Raises NoValidHost, Superseded."""
    story = trace.from_header(message.headers.get("trace")) or trace.Trace()
    with trace.active(story):
        trace.mark("boot.09", "queue", "scheduler", message.transport, method=message.method)
        with application.database.read() as db:
            work = db.get(Task, args["task_id"])
            if work is None or work.progress != "ready" or work.attempt != args["attempt"] or not work.forward: raise task.Superseded()
            if work.facts.get("host"): return {"host": work.facts["host"], "spans": trace.encode([])}  # the request came twice
            server = db.get(Server, work.subject_id)
            assert server is not None
        with trace.step("boot.10", "scheduler", "database, placement API", "sql, in-process") as carried:
            request, hosts = _situation(application, work, server)
            carried |= {"hosts": len(hosts)}
        with trace.step("boot.11", "scheduler", "database", "sql") as carried:
            host = _claim(application, work, server, request, hosts, args["attempt"])
            carried |= {"host": host}
        with trace.step("boot.12", "scheduler", "queue", application.bus.transport if application.bus else "",
                target=f"compute.host.{host}"):
            hand_over(application, host, work.id)
    return {"host": host, "spans": trace.encode(story.spans)}


def hand_over(application: Application, host: str, task_id: str) -> None:
    """The cast: a hint to the host that a task waits for it."""
    conductor.cast(application, host, task_id)


def offer(application: Application, hosts: dict[str, dict[str, Any]]) -> None:
    """Tells placement what hosts have: {name: capabilities}. Repeatable."""
    placement.put_hosts(application.state["service_call"](), [
        placement.Host(name, _inventories(application, offers), offers.get("traits", [])) for name, offers in hosts.items()])
    application.state["fleet"].forget()


def _inventories(application: Application, offers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    config = application.config
    return {
        "VCPU": {"total": offers["vcpus"], "allocation_ratio": config.cpu_allocation_ratio},
        "MEMORY_MB": {"total": offers["memory_mib"], "allocation_ratio": config.memory_allocation_ratio,
                      "reserved": min(config.reserved_memory_mib, offers["memory_mib"] // 4)},
        "DISK_GB": {"total": offers["disk_gib"], "allocation_ratio": config.disk_allocation_ratio}}


def resources_of(flavor: dict[str, Any], boots_volume: bool) -> dict[str, int]:
    """What placement is asked for."""
    disk = flavor["ephemeral"] + (0 if boots_volume else flavor["disk"])
    wanted = {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["ram"], "DISK_GB": disk}
    return {name: amount for name, amount in wanted.items() if amount}


def _situation(application: Application, work: Any, server: Any) -> tuple[Request, list[Host]]:
    """The request and the hosts that placement says have room."""
    call = application.state["service_call"]()
    flavor, asked = server.flavor, server.requested
    with application.database.read() as db:
        fleet: Fleet = application.state["fleet"]
        rows = {row.name: row for row in fleet.all(db)}
        affinity = _hosts_of(db, asked["hints"])
        group, members = _group(db, asked)
        aggregates = {name: tuple(Aggregate(id=id, metadata=remarks) for id, remarks in found) for name, found in aggregates_of(db).items()}
        volumes = [device.volume_id for device in devices_of(db, server.id) if device.volume_id]
    pinned = next((host for host in (volume.host_of(volume.show(call, id)) for id in volumes) if host), None)
    only = asked.get("forced_host") or asked.get("requested_host") or pinned
    found = placement.candidates(call, resources_of(flavor, server.image_id is None), limit=application.config.candidates,
                                 required=traits_required(flavor["extra_specs"]), host=only)
    request = Request(
        server_id=server.id, vcpus=flavor["vcpus"], memory_mib=flavor["ram"], disk_gib=flavor["disk"] if server.image_id else 0,
        extra_specs=flavor["extra_specs"], image_properties=asked.get("image_properties") or {}, availability_zone=asked.get("zone"),
        host=only, forced=bool(asked.get("forced_host")), excluded_hosts=frozenset(work.facts.get("excluded", ())), **affinity, **group)
    silent = application.silent_since(application.config.silent_seconds)
    return request, [_host(rows[c.name], c, silent, members, aggregates) for c in found if c.name in rows]


def _hosts_of(db: Session, hints: dict[str, Any]) -> dict[str, Any]:
    """same_host and different_host: where those servers run."""
    def where(ids: Any) -> frozenset[str]:
        listed = [ids] if isinstance(ids, str) else [str(one) for one in ids or []]
        return frozenset(host for host in db.scalars(select(Server.host).where(Server.id.in_(listed))) if host)

    found: dict[str, Any] = {}
    if hints.get("same_host"): found["same_hosts"] = where(hints["same_host"])
    if hints.get("different_host"): found["different_hosts"] = where(hints["different_host"])
    return found


def _group(db: Session, asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, int]]]:
    """The server group's part of the request, and {host: {group: members there}}."""
    group = db.get(ServerGroup, asked["group"]) if asked.get("group") else None
    if group is None: return {}, {}
    where = db.scalars(select(Server.host).where(Server.group_id == group.id, Server.deleted_at.is_(None), Server.host.is_not(None)))
    hosts = Counter(host for host in where if host)
    request = {"group_id": group.id, "group_policy": group.policy, "group_max_per_host": group.rules.get("max_server_per_host", 1),
               "group_hosts": frozenset(hosts)}
    return request, {host: {group.id: count} for host, count in hosts.items()}


def traits_required(extra_specs: dict[str, str]) -> list[str]:
    """The traits that a flavor wants of its host."""
    return [key.removeprefix("trait:") for key, value in extra_specs.items() if key.startswith("trait:") and value == "required"]


def _host(row: Any, candidate: Any, silent_since: float, groups: dict[str, dict[str, int]],
          aggregates: dict[str, tuple[Aggregate, ...]]) -> Host:
    cpu, memory, disk = (candidate.capacity.get(name, (0, 0)) for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
    offers = row.capabilities or {}
    return Host(
        name=row.name, vcpus=cpu[0], vcpus_used=cpu[1], memory_mib=memory[0], memory_used_mib=memory[1], disk_gib=disk[0],
        disk_used_gib=disk[1],
        groups=groups.get(row.name, {}), aggregates=aggregates.get(row.name, ()), enabled=row.enabled,
        up=not row.forced_down and row.seen_at > silent_since, availability_zone=row.zone,
        failed_builds=row.failed_builds,
        traits=frozenset(candidate.traits), hypervisor_type=offers.get("hypervisor_type", ""),
        architecture=offers.get("architecture", "x86_64"),
        hypervisor_version=offers.get("hypervisor_version", 0))


def _claim(application: Application, work: Any, server: Any, request: Request, hosts: list[Host], attempt: int) -> str:
    """Claims the best host, or the next best if another request was quicker; writes it and requeues the task, in one transaction."""
    call = application.state["service_call"]()
    left = hosts
    while True:
        chosen = choose(request, left, 1, RNG)
        if not chosen:
            before = f"The last try ended so: {work.facts['failure']} " if work.facts.get("failure") else ""
            raise errors.NoValidHost(reason=before + _why(application, request, hosts))
        host = chosen[0].name
        try:
            placement.claim(call, server.id, placement.provider_of(call, host), resources_of(server.flavor, server.image_id is None),
                            server.project_id, server.user_id)
            break
        except Conflict:
            left = [one for one in left if one.name != host]
    try:
        with application.database.write() as db:
            held = task.held(db, Task, work.id, attempt)
            if held.forward and held.facts.get("host"): return str(held.facts["host"])  # the request came twice; the other was quicker
            db.execute(update(Server).where(Server.id == server.id).values(
                host=host, availability_zone=_zone(application, db, host) or server.availability_zone))
            task.advance(db, BOOT, held, {"host": host})
    except task.Superseded:
        _give_back(application, call, work.id, server.id)
        raise
    return host


def _give_back(application: Application, call: Call, task_id: str, server_id: str) -> None:
    """Releases what was claimed for a boot that has ended meanwhile without a host; what another attempt has claimed is not ours."""
    with application.database.read() as db: work = db.get(Task, task_id)
    if work is None or work.progress == "failed" or (work.progress == "cancelled" and not work.facts.get("host")):
        placement.release(call, server_id)


def _zone(application: Application, db: Session, host: str) -> str | None:
    return db.scalar(select(HostRow.zone).where(HostRow.name == host))


def _why(application: Application, request: Request, hosts: list[Host]) -> str:
    """Why no host will do, host by host and filter by filter; worked out only when a boot fails."""
    with application.database.read() as db: rows = application.state["fleet"].all(db)
    if not rows: return "No host has joined this cloud yet."
    roomy = {host.name for host in hosts}
    crowded = [row.name for row in rows if row.name not in roomy]
    reasons = [f"{refusal.host}: {refusal.reason} ({refusal.filter})" for refusal in explain(request, hosts)]
    wanted = f"{request.vcpus} vCPU, {request.memory_mib} MiB of memory, {request.disk_gib} GiB of disk"
    reasons += [f"{name}: it has no room for {wanted} (placement)" for name in crowded[:EXPLAINED]]
    return f"{len(rows)} hosts were looked at. " + "; ".join(reasons[:EXPLAINED])
