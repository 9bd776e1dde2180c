"""What other services call of compute."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.client import send

VERSION = {"openstack-api-version": "compute 2.96"}
PAGE = 500


def list_servers(call: Call, **query: Any) -> Iterator[dict[str, Any]]:
    """The servers of all projects, in detail, page by page."""
    marker: dict[str, Any] = {}
    while True:
        asked = {"all_tenants": "1", "limit": PAGE, **query, **marker}
        found = send(call, "compute", "GET", "/v2.1/servers/detail", query=asked, headers=dict(VERSION)).json()["servers"]
        yield from found
        if len(found) < PAGE: return
        marker = {"marker": found[-1]["id"]}


def diagnostics(call: Call, server_id: str) -> dict[str, Any]:
    """What a server's machine counts right now, in the form of microversion 2.48. Raises NotFound, Conflict (it does not run)."""
    found: dict[str, Any] = send(call, "compute", "GET", f"/v2.1/servers/{server_id}/diagnostics", headers=dict(VERSION)).json()
    return found
