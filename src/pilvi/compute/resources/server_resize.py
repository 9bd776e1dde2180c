"""resize, confirmResize, revertResize: a server gets another flavor, and its user says whether that is good.

Source: Compute API, "Resize Server (resize Action)", "Confirm Resized Server", "Revert Resized Server".
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources.flavor import RESOURCE as FLAVORS
from pilvi.compute.resources.flavor import facts_of
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.server_task import begin
from pilvi.core import quota
from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.app import Response

ASKED = {"type": "object", "required": ["flavorRef"], "additionalProperties": False, "properties": {
    "flavorRef": {"type": ["string", "integer"], "minLength": 1}, "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]}}}


def resize(call: Call, id: str, asked: dict[str, Any]) -> Response:
    """Another flavor; then the user says whether that is good."""
    flavor_id = str(asked["flavorRef"]).rpartition("/")[2]
    return begin(call, id, "resize", "resize", lambda call, server: _another_flavor(call, server, flavor_id))


def _another_flavor(call: Call, server: Server, flavor_id: str) -> dict[str, Any]:
    try: flavor = FLAVORS.find(call, flavor_id)
    except NotFound: raise errors.FlavorUnknown(id=flavor_id) from None
    now = server.flavor
    if flavor.id == server.flavor_id: raise errors.FlavorUnchanged()
    if server.image_id and flavor.disk < now["disk"]: raise errors.DiskWouldShrink(have=now["disk"], want=flavor.disk)
    for kind, more in (("cores", flavor.vcpus - now["vcpus"]), ("ram", flavor.ram - now["ram"])):
        if more > 0: quota.check(call, kind, server.project_id, more)
    return {"flavor": facts_of(flavor), "before": {"flavor": now, "state": server.state}}


def confirm(call: Call, id: str, asked: Any) -> Response:
    begin(call, id, "confirm_resize", "confirmResize", _before_resize)
    return Response(204)


def revert(call: Call, id: str, asked: Any) -> Response:
    return begin(call, id, "revert_resize", "revertResize", _before_resize)


def _before_resize(call: Call, server: Server) -> dict[str, Any]:
    return {"before": server.before_resize}
