"""Attaching and detaching a volume or a network card while the server lives. The server stays what it is; only its parts change."""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from pilvi.compute.resources.attachment import BlockDevice
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import conclude
from pilvi.compute.server.boot import brought
from pilvi.core import clock
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow, Step
from pilvi.network import client as network
from pilvi.volume import client as volume


def drop_attachment(application: Application, task: Any) -> None:
    """The volume is free again, also in the volume service."""
    volume.detach(application.state["service_call"](), task.facts["attachment_id"])
    with application.database.write() as db: db.execute(delete(BlockDevice).where(BlockDevice.id == task.facts["block_device_id"]))


def drop_port(application: Application, task: Any) -> None:
    """Deletes the card's port, or frees it if the user brought it."""
    call = application.state["service_call"]()
    with application.database.read() as db: kept = brought(db, task.subject_id)
    if task.facts["port_id"] in kept:
        network.update_port(call, task.facts["port_id"], {"device_id": "", "device_owner": "", "binding:host_id": ""})
    else:
        network.delete_port(call, task.facts["port_id"])


def changed(db: Session, task: Any, failed: bool) -> None:
    """Notes how it ended, and the server's cards as they are now."""
    server = db.execute(select(Server.network_info).where(Server.id == task.subject_id)).first()
    if server is not None and not failed:
        if task.flow == "attach_interface": info = [*(server.network_info or []), task.facts["nic"]]
        elif task.flow == "detach_interface":
            info = [nic for nic in server.network_info or [] if nic["port_id"] != task.facts["port_id"]]
        else: info = server.network_info
        db.execute(update(Server).where(Server.id == task.subject_id).values(network_info=info, updated_at=clock.now()))
    conclude(db, task, failed)


ATTACH = [
    Flow("attach_volume", ended=changed, steps=[AgentStep("plug_volume", undo=drop_attachment, undo_on_host="unplug_volume")]),
    Flow("detach_volume", ended=changed, patient=True, steps=[AgentStep("unplug_volume"), Step(drop_attachment)]),
    Flow("attach_interface", ended=changed, steps=[AgentStep("plug_interface", undo=drop_port, undo_on_host="unplug_interface")]),
    Flow("detach_interface", ended=changed, patient=True, steps=[AgentStep("unplug_interface"), Step(drop_port)]),
]
