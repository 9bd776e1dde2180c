"""Who calls telemetry in its tests; a caller's name is also the token."""
from __future__ import annotations

from typing import Any

from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.core.errors import Unauthenticated

PROJECT, OTHER_PROJECT = "a" * 32, "b" * 32
CALLERS = {
    "member": Identity("u1", project_id=PROJECT, roles=("member", "reader")),
    "reader": Identity("u2", project_id=PROJECT, roles=("reader",)),
    "other": Identity("u3", project_id=OTHER_PROJECT, roles=("member", "reader")),
    "admin": Identity("u4", project_id="d" * 32, roles=("admin", "manager", "member", "reader")),
    "control": Identity("u5", project_id="e" * 32, roles=("admin", "service")),
}


def validate(token: str, story: Any) -> Identity:
    if token not in CALLERS: raise Unauthenticated()
    return Identity(**{name: getattr(CALLERS[token], name) for name in ("user_id", "project_id", "roles")}, expires_at=clock.now() + 3600)
