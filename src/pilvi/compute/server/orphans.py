"""What deleted servers still hold elsewhere: found once more after each delete, and given back.

A delete leaves nothing by itself. But a word that was under way when it ended (the claim of a scheduler that was killed just then, a port
made by an agent that had been cut off) may arrive after it; nobody else would ever look at that again.
"""
from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import select

from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task
from pilvi.compute.server.boot import free_ports
from pilvi.core import clock
from pilvi.core.http.app import Application
from pilvi.core.reconcile import repaired
from pilvi.network import client as network
from pilvi.placement import client as placement

LATE_SECONDS = 30.0
"""So long after its end a server is looked at: words that were under way have arrived."""
FIRST_LOOK_SECONDS = 3600.0
AT_ONCE = 50


class Orphan(Struct, frozen=True, order=True):
    """`kind`: ports or allocation."""
    kind: str
    server_id: str


def plan(deleted: Collection[str], ports: Collection[str], allocated: Collection[str]) -> list[Orphan]:
    """What to give back: for each deleted server that still has ports, or a place on a host."""
    return sorted({Orphan("ports", id) for id in ports if id in deleted} | {Orphan("allocation", id) for id in allocated if id in deleted})


def give_back(application: Application) -> None:
    """One look at the servers that have ended since the last one."""
    until = clock.now() - LATE_SECONDS
    since = application.state.get("orphans_until", until - FIRST_LOOK_SECONDS)
    with application.database.read() as db:
        working = select(Task.subject_id).where(Task.progress.in_(("ready", "debt")))
        ended = list(db.scalars(select(Server.id).where(Server.deleted_at > since, Server.deleted_at <= until, Server.id.not_in(working))))
    call = application.state["service_call"]()
    for first in range(0, len(ended), AT_ONCE):
        some = ended[first:first + AT_ONCE]
        ports = {port["device_id"] for port in network.list_ports(call, device_id=some)}
        for orphan in plan(some, ports, [id for id in some if placement.allocations(call, id)]): _give_back(application, orphan)
    application.state["orphans_until"] = until


def _give_back(application: Application, orphan: Orphan) -> None:
    if orphan.kind == "ports": free_ports(application, orphan.server_id)
    else: placement.release(application.state["service_call"](), orphan.server_id)
    repaired("compute", "orphan", kind=orphan.kind, server=orphan.server_id)
