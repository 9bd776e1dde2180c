"""The statistics that a threshold rule looks at, from the metrics' store.

Source: Alarming API v2 (Aodh), "gnocchi_*_threshold".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session


def values(db: Session, rule: dict[str, Any], project_id: str | None, now: float) -> list[float] | str:
    """The values of a rule's window, oldest first; or why there are none. `project_id`: whose things it may look at, None: everybody's."""
    return "the metric does not exist"
