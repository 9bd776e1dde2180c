"""The conductor: the agents' door to compute's database. What it tells about a server is all that an agent ever learns (steps 15 to 18)."""
from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from pilvi.compute.resources.attachment import BlockDevice, devices_of
from pilvi.compute.resources.console import server_of
from pilvi.compute.resources.host import Host
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task, keep_spans
from pilvi.compute.scheduler.worker import offer
from pilvi.compute.server.flows import FLOWS
from pilvi.compute.server.states import ACTIVE, DELETED, ERROR, PAUSED, SERVER, STOPPED, SUSPENDED
from pilvi.core import clock, crypto, trace
from pilvi.core.bus.interface import Message
from pilvi.core.conductor import Door
from pilvi.core.http.app import Application
from pilvi.core.reconcile import repaired

GRANT_SECONDS = 3600.0


def describe(application: Application, db: Session, task: Any) -> dict[str, Any]:
    """The facts of the task's server, and a grant for exactly the things that it needs."""
    server = db.get(Server, task.subject_id)
    if server is None: return {"described": {}}
    devices = [{"id": d.id, "volume_id": d.volume_id, "attachment_id": d.attachment_id, "device": d.device, "boot_index": d.boot_index,
                "source": d.source} for d in devices_of(db, server.id)]
    wanted = server.requested.get("networks")
    networks = wanted if isinstance(wanted, list) else []
    facts = {
        "id": server.id, "name": server.name, "hostname": server.hostname, "project_id": server.project_id, "user_id": server.user_id,
        "flavor": server.flavor, "image_id": server.image_id, "user_data": server.user_data, "meta": server.meta,
        "key_name": server.key_name,
        "public_key": server.public_key, "config_drive": bool(server.config_drive), "availability_zone": server.availability_zone,
        "launch_index": server.launch_index, "reservation_id": server.reservation_id, "networks": networks,
        "groups": server.requested.get("groups") or [], "devices": devices, "network_info": server.network_info,
        "image_properties": server.requested.get("image_properties") or {}, "security_groups": server.security_groups}
    images = [server.image_id, *(d["source"].get("id") for d in devices if d["source"].get("type") == "image")]
    things = {"server": [server.id], "project": [server.project_id], "image": [i for i in images if i],
              "network": [nic["network"] for nic in networks], "port": [nic["port"] for nic in networks if nic.get("port")],
              "security_group": facts["groups"], "volume": [d["volume_id"] for d in devices if d["volume_id"]],
              "attachment": [a for a in [task.facts.get("attachment_id"), *(d["attachment_id"] for d in devices)] if a]}
    if task.facts.get("image_id"): things["image"].append(task.facts["image_id"])
    if task.flow == "createImage": things["image_upload"] = [task.facts["image_id"]]
    if task.facts.get("port_id"): things["port"].append(task.facts["port_id"])
    if task.facts.get("network"): things["network"].append(task.facts["network"])
    grant = crypto.sign(application.grant_key, {"things": things, "host": task.facts.get("host"), "expires": clock.now() + GRANT_SECONDS})
    return {"described": facts, "grant": grant}


def _keep(db: Session, task: Any, spans: list[trace.Span]) -> None:
    keep_spans(db, task.subject_id, task.attempt, spans)


DOOR = Door(Task, FLOWS, describe, _keep, lambda application: application.state["worker"].wake())


def alive(application: Application, args: dict[str, Any], message: Message) -> None:
    """{hosts: {name: capabilities or None}, worker, zone}: the agent's hosts are well; capabilities when they are new or changed."""
    now = clock.now()
    with application.database.write() as db:
        known = set(db.scalars(select(Host.name).where(Host.name.in_(list(args["hosts"])))))
        if known: db.execute(update(Host).where(Host.name.in_(list(known))).values(seen_at=now, worker=args["worker"]))
        new = [{"name": name, "id": crypto.new_id(), "seen_at": now, "worker": args["worker"], "zone": args.get("zone") or "nova",
                "enabled": True, "forced_down": False, "failed_builds": 0, "capabilities": offers or {}}
               for name, offers in args["hosts"].items() if name not in known]
        if new: db.execute(insert(Host), new)
        changed = [{"name": name, "capabilities": offers} for name, offers in args["hosts"].items() if offers and name in known]
        if changed: db.execute(update(Host), changed)
    fresh = {name: offers for name, offers in args["hosts"].items() if offers}
    if fresh: offer(application, fresh)


def desired(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{hosts} → {servers: {id: {host, state, busy}}}: what should be on these hosts, tombstones included. Who is held is busy for ever."""
    with application.database.read() as db:
        rows = db.execute(select(Server.id, Server.host, Server.state, Server.busy, Server.held, Server.before_resize).where(
            Server.host.in_(args["hosts"]), Server.deleted_at.is_(None))).all()
        asked = args.get("also") or []
        gone = db.execute(select(Server.id).where(Server.id.in_(asked), Server.deleted_at.is_not(None))).scalars().all()
        working = set(db.scalars(select(Task.subject_id).where(Task.progress.in_(("ready", "debt")))))
    servers = {r.id: {
        "host": r.host, "state": r.before_resize["state"] if r.before_resize else r.state,
        "busy": r.busy or ("task" if r.id in working else "held" if r.held else None)} for r in rows}
    return {"servers": servers | {id: {"host": "", "state": DELETED, "busy": "task" if id in working else None} for id in gone}}


def observed(application: Application, args: dict[str, Any], message: Message) -> None:
    """{server_id, power}: a machine stopped, crashed or resumed by itself; the record follows, if nothing is being done to the server."""
    end = {"stopped": STOPPED, "crashed": STOPPED, "running": ACTIVE, "paused": PAUSED}[args["power"]]
    with application.database.write() as db:
        if _held(db, args["server_id"]): return
        if SERVER.adopt(db, Server, args["server_id"], {ACTIVE, STOPPED, PAUSED, *(() if end == STOPPED else (SUSPENDED,))} - {end}, end):
            repaired("compute", "adopt", server=args["server_id"], power=args["power"])


def _held(db: Session, id: str) -> bool:
    return bool(db.scalar(select(Server.held).where(Server.id == id)))


def lost(application: Application, args: dict[str, Any], message: Message) -> None:
    """{server_id, reason}: the machine of a server can't be found or started on its host."""
    with application.database.write() as db:
        if _held(db, args["server_id"]): return
        fault = {"code": 500, "created": clock.now(), "message": args["reason"], "details": args["reason"]}
        if SERVER.adopt(db, Server, args["server_id"], {ACTIVE, STOPPED, PAUSED, SUSPENDED}, ERROR):
            db.execute(update(Server).where(Server.id == args["server_id"]).values(fault=fault))


def made_volume(application: Application, args: dict[str, Any], message: Message) -> None:
    """{device_id, volume_id, attachment_id}: a block device has its volume now."""
    values = {key: args[key] for key in ("volume_id", "attachment_id") if args.get(key)}
    with application.database.write() as db: db.execute(update(BlockDevice).where(BlockDevice.id == args["device_id"]).values(**values))


def facts(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{task_id} → the facts and a fresh grant, for an act that takes long."""
    with application.database.read() as db:
        work = db.get(Task, args["task_id"])
        return describe(application, db, work) if work is not None else {}


def samples(application: Application, args: dict[str, Any], message: Message) -> None:
    """{at, servers: [(host, server id, power, counters)]}: passes on what hosts counted of their own servers, with whose these are."""
    told = {server_id: (host, power, counted) for host, server_id, power, counted in args["servers"]}
    columns = (Server.id, Server.host, Server.project_id, Server.user_id, Server.name, Server.flavor, Server.flavor_id, Server.image_id,
               Server.availability_zone, Server.created_at, Server.launched_at, Server.meta)
    with application.database.read() as db:
        rows = db.execute(select(*columns).where(Server.id.in_(list(told)), Server.deleted_at.is_(None))).all()
    known = [row._asdict() | {"power": told[row.id][1], "counted": told[row.id][2]} for row in rows if told[row.id][0] == row.host]
    if known and application.bus: application.bus.cast("telemetry.collector", "servers", {"at": args["at"], "servers": known})


def host_samples(application: Application, args: dict[str, Any], message: Message) -> None:
    """{at, host, processor}: passes on what a known host counted of itself."""
    with application.database.read() as db: known = db.get(Host, args["host"]) is not None
    if known and application.bus: application.bus.cast("telemetry.collector", "host", args)


def console(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{ticket} → {server_id, kind}: whose console may be opened with it. Raises ConsoleRefused."""
    server_id, kind = server_of(application, args["ticket"])
    return {"server_id": server_id, "kind": kind}


HANDLERS = {**DOOR.handlers(), "alive": alive, "desired": desired, "observed": observed, "lost": lost, "made_volume": made_volume,
            "facts": facts, "console": console, "samples": samples,
            "host_samples": host_samples}
