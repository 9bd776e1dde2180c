"""A server of a stack gets another flavor: it is resized, and the resize confirmed. Each step looks at the server, so it may be repeated.

Source: Template Guide, "OS::Nova::Server", `flavor_update_policy`; Compute API guide, "Server concepts".
"""
from __future__ import annotations

from typing import Any

from pilvi.orchestration.types.interface import ResourceFailed, Work


def ask_for(work: Work, path: str, flavor_id: str) -> None:
    """Asks for the flavor, unless the server has it or is on the way to it."""
    server, has = _look(work, path, flavor_id)
    if has or server["OS-EXT-STS:task_state"] is not None: return
    back = server["status"] == "VERIFY_RESIZE"  # a resize that was given up
    work.ask("compute", "POST", f"{path}/action", {"revertResize": None} if back else {"resize": {"flavorRef": flavor_id}})


def reached(work: Work, path: str, flavor_id: str) -> bool:
    """Has the server come to the flavor, for good? Raises ResourceFailed if it stays what it was."""
    server, has = _look(work, path, flavor_id)
    if server["OS-EXT-STS:task_state"] is not None: return False
    if not has: raise ResourceFailed(status=server["status"], reason="it was not resized; its action log says more")
    if server["status"] != "VERIFY_RESIZE": return True
    work.ask("compute", "POST", f"{path}/action", {"confirmResize": None})
    return False


def _look(work: Work, path: str, flavor_id: str) -> tuple[dict[str, Any], bool]:
    """(the server, has it the flavor?)"""
    server = work.ask("compute", "GET", path)["server"]
    name = work.ask("compute", "GET", f"/v2.1/flavors/{flavor_id}")["flavor"]["name"]
    return server, server["flavor"]["original_name"] == name
