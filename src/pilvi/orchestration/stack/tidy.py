"""What is kept of the past: events of living stacks up to a number, deleted stacks for a while."""
from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from pilvi.core import clock
from pilvi.orchestration.resources.tables import Stack, StackEvent

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

EVENTS_MOST = 1000
KEPT_SECONDS = 30 * 24 * 3600.0


def forget_the_past(application: Application) -> None:
    """Removes what nobody asks for any more."""
    with application.database.read() as db:
        old = list(db.scalars(select(Stack.id).where(Stack.deleted_at < clock.now() - KEPT_SECONDS, Stack.credentials.is_(None))))
        many = list(db.scalars(select(StackEvent.stack_id).group_by(StackEvent.stack_id).having(func.count() > EVENTS_MOST)))
    for stack_id in old:
        with application.database.write() as db:
            db.execute(delete(StackEvent).where(StackEvent.stack_id == stack_id))
            db.execute(delete(Stack).where(Stack.id == stack_id))
    for stack_id in many:
        with application.database.write() as db:
            edge = db.scalar(select(StackEvent.number).where(StackEvent.stack_id == stack_id).order_by(StackEvent.number.desc())
                             .offset(EVENTS_MOST - 1).limit(1))
            if edge is not None: db.execute(delete(StackEvent).where(StackEvent.stack_id == stack_id, StackEvent.number < edge))
