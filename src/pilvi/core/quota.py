"""Quotas: how many things of a kind a project may have.

Counting and inserting happen in one write transaction. SQLite has one writer; elsewhere a row per project is locked first, so two requests
can't both take the last place. What is counted is the rows themselves: no counter can drift.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from pilvi.core.errors import Conflict, Forbidden

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pilvi.core.context import Call


@dataclass(frozen=True)
class Kind:
    """A counted kind: the default limit (-1: none) and how much a project uses."""
    limit: int
    used: Callable[[Session, str], int]


class QuotaExceeded(Conflict):
    """Quota exceeded for resources: ['{kind}']. {used} of {limit} are in use, {asked} more were asked for."""
    code = "OverQuota"


class NovaQuotaExceeded(Forbidden):
    """Quota exceeded for {kind}: Requested {asked}, but already used {used} of {limit} {kind}"""


def check(call: Call, kind: str, project_id: str, asked: int = 1) -> None:
    """Raises the family's quota error if the project may not have so many more. In the caller's write transaction."""
    assert call.application is not None and call.db is not None
    kinds: Mapping[str, Kind] = call.application.state["quota_kinds"]
    limit = limits_of(call, project_id)[kind]
    if limit < 0: return
    if not call.application.database.sqlite:
        call.db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"{call.application.service.name}:{project_id}"})
    used = kinds[kind].used(call.db, project_id)
    if used + asked > limit:
        family = call.application.service.dialect.name
        kind_of: Any = QuotaExceeded if family == "neutron" else NovaQuotaExceeded
        raise kind_of(kind=kind, used=used, limit=limit, asked=asked)


def limits_of(call: Call, project_id: str) -> dict[str, int]:
    """The limits of a project: its own where set, else the defaults."""
    assert call.application is not None and call.db is not None
    kinds: Mapping[str, Kind] = call.application.state["quota_kinds"]
    read: Callable[[Session, str], dict[str, int]] | None = call.application.state.get("quota_limits")
    own = read(call.db, project_id) if read else {}
    return {name: own.get(name, kind.limit) for name, kind in kinds.items()}
