"""How a server's flow ends: the transaction that gives the server its state, its fault and its log entry. Shared by all verbs."""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from pilvi.compute.resources.attachment import BlockDevice
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import conclude
from pilvi.compute.server.states import SERVER
from pilvi.core import clock


def ended(db: Session, task: Any, failed: bool) -> None:
    """Ends the verb that the flow is named after. What the agent found out on the way is in the task's facts."""
    values: dict[str, Any] = {}
    if failed: values["fault"] = fault_of(task)
    elif task.flow == "boot":
        values |= {"launched_at": clock.now(), "host": task.facts["host"], "fault": None}
    elif task.flow.startswith("rebuild"): values |= {"launched_at": clock.now(), "fault": None}
    if not failed and "network_info" in task.facts: values["network_info"] = task.facts["network_info"]
    SERVER.finish(db, Server, task.subject_id, task.flow, failed=failed, **values)
    conclude(db, task, failed)


def gone(db: Session, task: Any, failed: bool) -> None:
    """Ends a delete: the record stays as a tombstone, and its devices go."""
    if not failed:
        SERVER.finish(db, Server, task.subject_id, "delete", deleted_at=clock.now())
        db.execute(delete(BlockDevice).where(BlockDevice.server_id == task.subject_id))
    else:
        SERVER.finish(db, Server, task.subject_id, "delete", failed=True, fault=fault_of(task))
    conclude(db, task, failed)


def fault_of(task: Any) -> dict[str, Any]:
    """What a user is told about a failure."""
    return {"code": 500, "created": clock.now(), "message": task.error or "Unexpected failure", "details": task.error or ""}


def lose_host(db: Session, server_id: str) -> None:
    """The server is on no host any more."""
    db.execute(update(Server).where(Server.id == server_id).values(host=None, network_info=[]))
