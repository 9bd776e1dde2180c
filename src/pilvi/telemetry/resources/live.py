"""What a server counts right now, for charts that move while somebody looks: asked of its host then, and of nobody otherwise.

Source: ours; the body is that of compute's diagnostics (microversion 2.48), which upstream shows to administrators only, with the instant.
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import client as compute
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.telemetry.resources import resource

SECONDS = 2.0
"""How long an answer serves others who look at the same server."""
MOST_REMEMBERED = 1000


def show(call: Call, server_id: str) -> Any:
    """GET /v1/live/{server id}: to whoever may see the server's resource"""
    assert call.application is not None
    with call.application.database.read() as call.db: row = resource.find(call, "instance", server_id)
    call.db = None
    known: dict[str, dict[str, Any]] = call.application.state.setdefault("live", {})
    if (found := known.get(row.id)) and clock.now() - found["at"] < SECONDS: return found
    found = {"at": clock.now(), **compute.diagnostics(call.application.state["service_call"](), row.id)}
    if len(known) >= MOST_REMEMBERED: known.clear()
    known[row.id] = found
    return found


ROUTES = [Route("/v1/live/{server_id}", "GET", show, None)]
