"""How a request begins what takes long: the server is marked as busy and a task is written, in one transaction. Shared by all actions.

Source: Compute API, "Servers - run an action".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Task, record
from pilvi.compute.server.delete import DELETE
from pilvi.compute.server.image import CREATE_IMAGE
from pilvi.compute.server.power import POWER
from pilvi.compute.server.rebuild import REBUILD
from pilvi.compute.server.resize import RESIZE
from pilvi.compute.server.states import SERVER
from pilvi.core import task
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.task import Flow

FLOWS = {flow.name: flow for flow in (*POWER, *RESIZE, DELETE, CREATE_IMAGE, *REBUILD)}
More = Callable[[Call, Server], dict[str, Any]]
EVEN_LOCKED = {CREATE_IMAGE.name}
"""What changes nothing of a server may be done to a locked one, as with Nova."""


def begin(call: Call, id: str, verb: str, action: str, more: More | None = None) -> Response:
    """`mark` in a transaction of its own; then wakes whoever does it. Raises WrongState, ServerLocked."""
    assert call.application is not None
    with call.application.database.write() as call.db: work = mark(call, SERVERS.find(call, id), verb, action, more)
    call.db = None
    wake(call, work)
    return Response(202)


def mark(call: Call, server: Any, verb: str, action: str, more: More | None = None) -> Any:
    """The server is busy and the task is written, in the call's transaction; after it somebody is to be woken. `more` looks at the server
    once that nothing else is done to it, and returns facts for the task. Raises WrongState, ServerLocked."""
    assert call.db is not None
    SERVERS.permit(call, "delete" if verb == "delete" else "update", {"project_id": server.project_id, "user_id": server.user_id})
    if server.locked_reason is not None and not call.is_admin and verb not in EVEN_LOCKED: raise errors.ServerLocked(id=server.id)
    SERVER.begin(call.db, Server, server.id, verb)
    call.db.refresh(server)
    facts = more(call, server) if more else {}
    record(call, server.id, action)
    return add(call, server, FLOWS[verb], facts)


def wake(call: Call, work: Any) -> None:
    """Tells whoever must act that there is a task."""
    assert call.application is not None
    if work.queue == task.CONTROL: call.application.state["worker"].wake()
    else: call.application.state["hand_over"](work.queue, work)


def add(call: Call, server: Any, flow: Flow, facts: dict[str, Any]) -> Any:
    """A task of a flow that leaves the server's state alone, in the call's transaction."""
    assert call.db is not None
    return task.add(call.db, Task, flow, server.id, {"request_id": call.request_id, "host": server.host, **facts})
