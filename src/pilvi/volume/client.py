"""What other services and agents call of volume.

An agent's call carries a token of role `service` and a grant: of the kinds "volume", "attachment" and "server" for what it may touch,
"project" for where it may make volumes.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.client import Reply, send

VERSION = {"openstack-api-version": "volume 3.71"}


def _send(call: Call, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None,
          steps: dict[str, str] | None = None) -> Reply:
    return send(call, "volume", method, path, query=query, body=body, headers=dict(VERSION), steps=steps)


def show(call: Call, volume_id: str) -> dict[str, Any]:
    """A volume. Raises NotFound."""
    found: dict[str, Any] = _send(call, "GET", f"/v3/volumes/{volume_id}").json()["volume"]
    return found


def list_volumes(call: Call) -> Iterator[dict[str, Any]]:
    """The volumes of all projects, page by page."""
    return _pages(call, "volumes")


def list_snapshots(call: Call) -> Iterator[dict[str, Any]]:
    """The snapshots of all projects, page by page."""
    return _pages(call, "snapshots")


def _pages(call: Call, plural: str) -> Iterator[dict[str, Any]]:
    query: dict[str, Any] = {"all_tenants": "1", "limit": 500}
    while True:
        page = _send(call, "GET", f"/v3/{plural}/detail", query=query).json()
        yield from page[plural]
        if f"{plural}_links" not in page: return
        query["marker"] = page[plural][-1]["id"]


def list_types(call: Call) -> list[dict[str, Any]]:
    """The volume types."""
    found: list[dict[str, Any]] = _send(call, "GET", "/v3/types", query={"is_public": "None"}).json()["volume_types"]
    return found


def list_pools(call: Call) -> list[dict[str, Any]]:
    """The pools: {name, capabilities: {total_capacity_gb, free_capacity_gb, …}}."""
    found: list[dict[str, Any]] = _send(call, "GET", "/v3/scheduler-stats/get_pools", query={"detail": "true"}).json()["pools"]
    return found


def show_snapshot(call: Call, snapshot_id: str) -> dict[str, Any]:
    """A snapshot. Raises NotFound."""
    found: dict[str, Any] = _send(call, "GET", f"/v3/snapshots/{snapshot_id}").json()["snapshot"]
    return found


def host_of(volume: dict[str, Any]) -> str | None:
    """The host on which a shown volume lies; None if it is not placed, or the caller may not know."""
    where = volume.get("os-vol-host-attr:host")
    return where.partition("@")[0] if where else None


def create(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """Begins to make a volume. Beside the API's values: `project_id` (an agent's grant names it) and `host` (where it must be)."""
    inner = {name: value for name, value in values.items() if name not in ("project_id", "host")}
    body: dict[str, Any] = {"volume": inner}
    if values.get("host"): body["OS-SCH-HNT:scheduler_hints"] = {"host": values["host"]}
    made: dict[str, Any] = _send(call, "POST", _base(values.get("project_id")) + "/volumes", body=body).json()["volume"]
    return made


def made_for(call: Call, project_id: str, metadata: dict[str, str]) -> list[dict[str, Any]]:
    """The caller's own volumes in a project that carry these words, have not failed and do not go."""
    found = _send(call, "GET", _base(project_id) + "/volumes/detail", query={"metadata": repr(metadata)}).json()["volumes"]
    return [volume for volume in found if not volume["status"].startswith(("error", "deleting"))]


def _base(project_id: str | None) -> str:
    return f"/v3/{project_id}" if project_id else "/v3"


def delete(call: Call, volume_id: str) -> None:
    """Begins to remove a volume; one that is gone already is no failure."""
    try: _send(call, "DELETE", f"/v3/volumes/{volume_id}")
    except NotFound: pass


def extend(call: Call, volume_id: str, size_gib: int) -> None:
    """Begins to grow a volume that no server holds. Raises Invalid."""
    _send(call, "POST", f"/v3/volumes/{volume_id}/action", body={"os-extend": {"new_size": size_gib}})


def attachments(call: Call, *, instance_id: str, steps: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The attachments of a server: {id, status, instance, volume_id, …}."""
    query = {"instance_id": instance_id, "all_tenants": "1"}
    found: list[dict[str, Any]] = _send(call, "GET", "/v3/attachments/detail", query=query, steps=steps).json()["attachments"]
    return found


def reserve(call: Call, volume_id: str, instance_id: str) -> dict[str, Any]:
    """Reserves a volume for a server → its attachment. Raises Invalid when it is not free."""
    body = {"attachment": {"volume_uuid": volume_id, "instance_uuid": instance_id}}
    made: dict[str, Any] = _send(call, "POST", "/v3/attachments", body=body).json()["attachment"]
    return made


def connect(call: Call, attachment_id: str, connector: dict[str, Any], *, steps: dict[str, str] | None = None) -> dict[str, Any]:
    """How the connector's host opens the volume: {"driver", "path", "format", "access_mode", …}. Repeatable. Raises Invalid, Conflict."""
    reply = _send(call, "PUT", f"/v3/attachments/{attachment_id}", body={"attachment": {"connector": connector}}, steps=steps)
    connection: dict[str, Any] = reply.json()["attachment"]["connection_info"]
    return connection


def complete(call: Call, attachment_id: str) -> None:
    """The host has connected it: the volume is in use. Repeatable."""
    _send(call, "POST", f"/v3/attachments/{attachment_id}/action", body={"os-complete": {}})


def detach(call: Call, attachment_id: str) -> None:
    """Ends an attachment; one that is gone already is no failure."""
    try: _send(call, "DELETE", f"/v3/attachments/{attachment_id}")
    except NotFound: pass
