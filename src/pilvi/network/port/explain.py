"""Why a packet from a port gets somewhere, or not: GET /v2.0/ports/{id}/explain?to=ADDRESS&protocol=tcp&port=22.

An addition of this cloud (extension `pilvi-explain`): {"explanation": {"passes", "reason", "rule_id", "trace"}}. The trace is the
backend's own words and only for administrators, since it shows other projects' things.
"""
from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import Unavailable
from pilvi.core.http.routes import Route
from pilvi.network import errors
from pilvi.network.drivers.interface import Backend, NetworkFailure
from pilvi.network.resources.port import RESOURCE
from pilvi.network.topology import port_of


def explain(call: Call, id: str) -> dict[str, Any]:
    """Asks the backend, outside of any transaction: it may take a second. Raises InvalidInput, Unavailable."""
    assert call.application is not None and call.request is not None
    query = dict(call.request.query)
    with call.application.database.read() as call.db:
        row = RESOURCE.find(call, id)
        RESOURCE.permit(call, "show", {"project_id": row.project_id}, key=id)
        source = port_of(row)
    call.db = None
    try: destination = str(ip_address(query.get("to", "")))
    except ValueError: raise errors.InvalidInput(error_message="'to' must be an IP address") from None
    number = query.get("port")
    if number is not None and not (number.isascii() and number.isdigit() and int(number) <= 65535):
        raise errors.InvalidInput(error_message="'port' must be a number from 0 to 65535")
    backend: Backend = call.application.state["network_backend"]
    try: verdict = backend.explain(source, destination, query.get("protocol", "icmp").lower(), None if number is None else int(number))
    except NetworkFailure as failure: raise Unavailable(reason=str(failure)) from failure
    return {"explanation": {"passes": verdict.passes, "reason": verdict.reason, "rule_id": verdict.rule_id,
                            "trace": verdict.trace if call.is_admin else ""}}


ROUTES = [Route("/v2.0/ports/{id}/explain", "GET", explain, None)]
