"""Removing a snapshot; its row stays as a tombstone."""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.task import AgentStep, Flow
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Snapshot
from pilvi.volume.snapshot.states import SNAPSHOT


def ended(db: Session, job: Any, failed: bool) -> None:
    """The snapshot is gone, or in error_deleting with a message that says why."""
    gone = {} if failed else {"deleted_at": clock.now()}
    if not SNAPSHOT.finish(db, Snapshot, job.subject_id, "delete", failed=failed, **gone) or not failed: return
    snapshot = db.get(Snapshot, job.subject_id, populate_existing=True)
    assert snapshot is not None
    message.leave(db, snapshot.project_id, "delete_snapshot", snapshot.id, job.error)


FLOW = Flow("delete_snapshot", [AgentStep("remove_snapshot")], ended)
