"""What can be done to a server: POST /servers/{id}/action. One row per action: its schema, and the function that begins it.

Source: Compute API, "Servers - run an action", "Servers - run an administrative action".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources import console, server_image, server_rebuild, server_resize
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.server_task import begin
from pilvi.compute.resources.task import record
from pilvi.compute.server.states import ACTIVE, ERROR, SERVER
from pilvi.core.context import Call
from pilvi.core.errors import Conflict, Forbidden, Invalid
from pilvi.core.http import faults
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route

NOTHING: dict[str, Any] = {"anyOf": [{"type": "null"}, {"type": "object", "maxProperties": 0}, {"type": "string", "maxLength": 0}]}


def reboot(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """SOFT asks the guest, HARD does not."""
    hard = asked["type"].upper() == "HARD"
    return begin(call, id, "hard_reboot" if hard else "reboot", "reboot")


def lock(call: Call, id: str, asked: Any) -> Response:
    """Its own users may not change it until it is unlocked."""
    return _lock(call, id, "lock", (asked or {}).get("locked_reason") or "")


def unlock(call: Call, id: str, asked: Any) -> Response:
    return _lock(call, id, "unlock", None)


def _lock(call: Call, id: str, action: str, reason: str | None) -> Response:
    assert call.application is not None
    with call.application.database.write() as call.db:
        server = SERVERS.find(call, id)
        SERVERS.permit(call, "update", {"project_id": server.project_id, "user_id": server.user_id})
        server.locked_reason = reason
        record(call, id, action)
    call.db = None
    return Response(202)


def reset_state(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """os-resetState: an administrator's word on what the server is."""
    assert call.application is not None
    if not call.is_admin: raise Forbidden(action="os_compute_api:os-admin-actions:reset_state")
    with call.application.database.write() as call.db:
        server = SERVERS.find(call, id)
        SERVER.force(call.db, Server, server.id, {"active": ACTIVE, "error": ERROR}[asked["state"]], before_resize=None)
        record(call, id, "resetState")
    call.db = None
    return Response(202)


def vnc(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """os-getVNCConsole (until 2.5)"""
    if call.version > (2, 5): raise errors.ActionUnknown(action="os-getVNCConsole")
    return _console(call, id, asked["type"], "novnc", "vnc")


def serial(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """os-getSerialConsole (until 2.5)"""
    if call.version > (2, 5): raise errors.ActionUnknown(action="os-getSerialConsole")
    return _console(call, id, asked["type"], "serial", "serial")


def _console(call: Call, id: str, asked: str, offered: str, kind: str) -> Response:
    if asked != offered: raise Invalid(f"Unsupported console type: {asked}")
    return Response(200, {"console": {"type": offered, "url": console.give(call, console.find(call, id), kind)}})


def output(call: Call, id: str, asked: dict[str, Any] | None) -> Response:
    return Response(200, console.output(call, id, asked or {}))


def verb(name: str, action: str) -> Callable[[Call, str, Any], Response]:
    """An action that is just a verb of the state table."""
    return lambda call, id, asked: begin(call, id, name, action)


CONSOLE = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
ACTIONS: dict[str, tuple[dict[str, Any], Callable[[Call, str, Any], Response]]] = {
    "os-start": (NOTHING, verb("start", "start")),
    "os-stop": (NOTHING, verb("stop", "stop")),
    "pause": (NOTHING, verb("pause", "pause")),
    "unpause": (NOTHING, verb("unpause", "unpause")),
    "suspend": (NOTHING, verb("suspend", "suspend")),
    "resume": (NOTHING, verb("resume", "resume")),
    "createImage": (server_image.ASKED, server_image.create),
    "rebuild": ({"type": "object"}, server_rebuild.rebuild),
    "forceDelete": (NOTHING, verb("delete", "forceDelete")),
    "reboot": ({"type": "object", "required": ["type"], "properties": {"type": {"enum": ["SOFT", "HARD", "Soft", "Hard", "soft", "hard"]}},
                "additionalProperties": False}, reboot),
    "resize": (server_resize.ASKED, server_resize.resize),
    "confirmResize": (NOTHING, server_resize.confirm),
    "revertResize": (NOTHING, server_resize.revert),
    "lock": ({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"locked_reason": {"type": "string", "maxLength": 255}},
                                           "additionalProperties": False}]}, lock),
    "unlock": (NOTHING, unlock),
    "os-resetState": ({"type": "object", "required": ["state"], "properties": {"state": {"enum": ["active", "error"]}}}, reset_state),
    "os-getConsoleOutput": ({"type": ["object", "null"], "properties": {"length": {"type": ["integer", "string", "null"], "minimum": -1,
                                                                                   "pattern": "^-?[0-9]+$"}}}, output),
    "os-getVNCConsole": (CONSOLE, vnc),
    "os-getSerialConsole": (CONSOLE, serial),
}
BODY = {"type": "object", "minProperties": 1, "maxProperties": 1}
_SCHEMAS = {name: faults.Schema(schema) for name, (schema, _) in ACTIONS.items()}


def act(call: Call, id: str) -> Response:
    """POST /servers/{id}/action"""
    (name, asked), = call.body.items()
    if name not in ACTIONS: raise errors.ActionUnknown(action=name[:80])
    _SCHEMAS[name].check(asked)
    return ACTIONS[name][1](call, id, asked)


def delete(call: Call, id: str) -> Response:
    """DELETE /servers/{id}: from any state; a second one while the first runs changes nothing."""
    try: begin(call, id, "delete", "delete")
    except Conflict as failure:
        if failure.facts.get("state") != "deleting": raise
    return Response(204)


ROUTES = [Route("/v2.1/servers/{id}/action", "POST", act, None, body=BODY), Route("/v2.1/servers/{id}", "DELETE", delete, None)]
