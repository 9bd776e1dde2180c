"""What other services call of object storage: how much each account holds and moves."""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.client import send


def usage(call: Call) -> list[dict[str, Any]]:
    """[{account, project_id, containers, objects, bytes, received_bytes, sent_bytes}] of every account; the last two are counted since
    `since`, this process's start. For administrators and services. Raises Forbidden, Unavailable."""
    found: list[dict[str, Any]] = send(call, "objectstore", "GET", "/usage").json()["accounts"]
    return found
