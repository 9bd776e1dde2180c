"""Deleting a server: whatever else is being done to it ends, the machine goes, then all that other services hold for it.

Works from every state and is repeatable. With a host that is silent, the user's server is gone at once and the rest of the flow stays as a
debt that the host pays when it returns: until then its ports and its place stay taken, since the machine may still run.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task
from pilvi.compute.server import ended
from pilvi.compute.server.boot import drop_ports, drop_volumes, release_host
from pilvi.compute.server.image import CREATE_IMAGE, drop_image
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow, Step, cancel


def cancel_others(application: Application, task: Any) -> dict[str, Any] | None:
    """Ends a boot, stop … where it stands. A machine can only be on a host that a task or the record names.
    An image that was being made of it goes too."""
    with application.database.write() as db:
        cancelled = cancel(db, Task, task.subject_id, but=task.id)
        server = db.get(Server, task.subject_id)
        host = (server.host if server else None) or next((other.facts["host"] for other in cancelled if other.facts.get("host")), None)
        images = list(db.scalars(select(Task).where(Task.subject_id == task.subject_id, Task.flow == CREATE_IMAGE.name,
                                                    Task.progress == "cancelled")))
    for other in images: drop_image(application, other)
    return {"host": host} if host else None


DELETE = Flow("delete", ended=ended.gone, patient=True, steps=[
    Step(cancel_others), AgentStep("destroy_machine", skip_without_host=True), Step(drop_ports), Step(drop_volumes), Step(release_host)])
