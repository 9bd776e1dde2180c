"""Booting a server, the part in the control process: a row and a task in one transaction (step 7), then a host (steps 8 to 12).

The steps on the host are in agent/boot.py. A step that fails turns round; what APIs hold is undone here, what the host holds there.
"""
from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pilvi.compute.resources.attachment import BlockDevice, devices_of
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task, keep_spans
from pilvi.compute.server import ended
from pilvi.core import trace
from pilvi.core.bus.interface import RemoteFailure
from pilvi.core.errors import Failure, Unavailable
from pilvi.core.http.app import Application
from pilvi.core.task import MOVED, AgentStep, Flow, Step, Superseded
from pilvi.network import client as network
from pilvi.placement import client as placement
from pilvi.volume import client as volume

LOG = structlog.get_logger()
CALL_SECONDS = 60.0
STORY = {"arrive": "boot.03", "validate": "boot.04", "validated": "boot.05", "caller": "compute API"}
AGENT_STORY = {"take": "boot.13", "ask": "boot.14", "taken": "boot.15", "query": "boot.16", "found": "boot.17", "answer": "boot.18",
               "got": "boot.19"}


def choose_host(application: Application, task: Any) -> Any:
    """Steps 8 to 12: asks the scheduler, which claims a host, hands the task over to it and casts."""
    assert application.bus is not None
    story = trace.Trace(task.subject_id, task.attempt)
    try:
        with trace.active(story), trace.step("boot.08", "compute API", "queue", application.bus.transport, method="select_host"):
            answer = application.bus.call("compute.scheduler", "select_host", {"task_id": task.id, "attempt": task.attempt},
                                          deadline_seconds=CALL_SECONDS, headers={"trace": story.header()})
            story.take(answer.get("spans"))
    except RemoteFailure as failure:
        if failure.kind == "Superseded": raise Superseded() from None
        if failure.kind == "Unavailable": raise Unavailable(failure.message) from None
        raise
    finally:
        with application.database.write() as db: keep_spans(db, task.subject_id, task.attempt, story.spans)
    return MOVED


def release_host(application: Application, task: Any) -> None:
    """Gives back what placement holds for the server."""
    placement.release(application.state["service_call"](), task.subject_id)
    with application.database.write() as db: ended.lose_host(db, task.subject_id)


def drop_ports(application: Application, task: Any) -> None:
    """The server's ports go."""
    free_ports(application, task.subject_id)


def free_ports(application: Application, server_id: str) -> None:
    """Deletes the ports that the boot made, and frees those that the user brought."""
    call = application.state["service_call"]()
    with application.database.read() as db: kept = brought(db, server_id)
    for port in network.list_ports(call, device_id=server_id):
        if port["id"] in kept:
            network.update_port(call, port["id"], {"device_id": "", "device_owner": "", "binding:host_id": ""})
        else:
            network.delete_port(call, port["id"])


def brought(db: Session, server_id: str) -> set[str]:
    """The ports that the user brought, when the server was made or later."""
    server = db.get(Server, server_id)
    wanted = server.requested.get("networks") if server else None
    plugged = db.scalars(select(Task.facts).where(Task.subject_id == server_id, Task.flow == "attach_interface"))
    return {nic["port"] for nic in (wanted if isinstance(wanted, list) else []) if nic.get("port")} | {
        facts["port_id"] for facts in plugged if facts.get("brought")}


def drop_volumes(application: Application, task: Any) -> None:
    """Ends the server's attachments; volumes that were to go with the server go."""
    for device in _detached(application, task.subject_id):
        if device.volume_id and device.delete_on_termination: _delete_volume(application, device.volume_id)


def unmake_volumes(application: Application, task: Any) -> None:
    """Ends the attachments of a boot that failed. Volumes that it made go too: they lie on the host that failed; brought ones stay."""
    made = [device for device in _detached(application, task.subject_id) if device.volume_id and device.source["type"] != "volume"]
    for device in made: _delete_volume(application, str(device.volume_id))
    with application.database.write() as db:
        db.execute(update(BlockDevice).where(BlockDevice.server_id == task.subject_id).values(attachment_id=None))
        db.execute(update(BlockDevice).where(BlockDevice.id.in_([device.id for device in made])).values(volume_id=None))


def _detached(application: Application, server_id: str) -> list[BlockDevice]:
    """The server's devices, once nothing of them is attached any more."""
    call = application.state["service_call"]()
    for attachment in volume.attachments(call, instance_id=server_id): volume.detach(call, attachment["id"])
    with application.database.read() as db: return devices_of(db, server_id)


def _delete_volume(application: Application, id: str) -> None:
    try: volume.delete(application.state["service_call"](), id)
    except Unavailable: raise
    except Failure as failure:  # a volume with snapshots stays, as with Nova; the server's end does not depend on it
        LOG.info("volume was not deleted with its server", volume=id, reason=failure.message)


def turned(db: Session, task: Any) -> None:
    """A failing boot tells why at once; undoing may take its time."""
    server = db.get(Server, task.subject_id)
    if server is not None: server.fault = ended.fault_of(task)


def again(task: Any) -> bool:
    """Another host, unless the request itself is at fault or enough were tried."""
    facts = dict(task.facts)
    tried = [*facts.get("excluded", []), facts["host"]] if facts.get("host") else facts.get("excluded", [])
    if not facts.get("host") or facts.get("final") or len(tried) >= facts.get("tries", 3): return False
    facts.pop("host")
    task.facts = facts | {"excluded": tried, "failure": task.error}
    return True


BOOT = Flow("boot", ended=ended.ended, again=again, failing=turned, steps=[
    Step(choose_host,             undo=release_host),                                # 8–12
    AgentStep("fetch_image"),                                                        # 20–22, on the chosen host from here on
    AgentStep("bind_ports",       undo=drop_ports),                                  # 23–25
    AgentStep("connect_volumes",  undo=unmake_volumes),                              # 26–28
    AgentStep("create_machine",   undo_on_host="destroy_machine"),                   # 29
])
DISPATCHED = 4
"""From this step on the server may exist on its host: it never moves to another by itself."""
