"""Hold: an administrator takes a server into his own hands; until he lets go, nothing about it is repaired.

Source: none, an extension of Pilvi's. What its users ask for (stop, delete …) still happens; what is left alone is a machine that differs
from its record, in either direction, after a restart of the cloud too.
"""
from __future__ import annotations

from typing import Any

from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.task import record
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/pilvi-hold"""
    return {"held": bool(SERVERS.find(call, id).held)}


def change(call: Call, id: str) -> dict[str, Any]:
    """PUT /servers/{id}/pilvi-hold"""
    server = SERVERS.find(call, id)
    if server.held != call.body["held"]:
        server.held = call.body["held"]
        record(call, id, "hold" if server.held else "release")
    return show(call, id)


BODY = {"type": "object", "required": ["held"], "properties": {"held": {"type": "boolean"}}, "additionalProperties": False}
_PATH, _RULE = "/v2.1/servers/{id}/pilvi-hold", "os_compute_api:pilvi-hold"
RULES = {_RULE: Rule(PERSONAS["admin"])}
ROUTES = [
    Route(_PATH, "GET", show, _RULE, transaction="read"),
    Route(_PATH, "PUT", change, _RULE, transaction="write", body=BODY),
]
