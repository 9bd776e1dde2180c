"""Writing down what happened: events. In the caller's transaction."""
from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.orchestration.resources.tables import Stack, StackEvent, StackResource

STACK_TYPE = "OS::Heat::Stack"


def resource_event(db: Session, row: StackResource, status: str, reason: str = "", *, properties: Any = None) -> None:
    """Something happened to a resource."""
    _write(db, stack_id=row.stack_id, name=row.name, physical_id=row.physical_id, status=status, reason=reason, type=row.type,
           properties=properties)


def stack_event(db: Session, stack: Stack, status: str, reason: str) -> None:
    """Something happened to the stack itself."""
    _write(db, stack_id=stack.id, name=stack.name, physical_id=stack.id, status=status, reason=reason, type=STACK_TYPE, properties=None)


def _write(db: Session, **values: Any) -> None:
    db.execute(insert(StackEvent), [{**values, "id": new_id(), "at": clock.now()}])
