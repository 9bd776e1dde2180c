"""Making a snapshot on the host of its volume."""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.core.task import AgentStep, Flow
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Snapshot
from pilvi.volume.snapshot.states import SNAPSHOT


def ended(db: Session, job: Any, failed: bool) -> None:
    """The snapshot is there, or it is an error with a message that says why, and nothing is left of it on the host."""
    made = {} if failed else {"progress": "100%"}
    if not SNAPSHOT.finish(db, Snapshot, job.subject_id, "create", failed=failed, **made) or not failed: return
    snapshot = db.get(Snapshot, job.subject_id, populate_existing=True)
    assert snapshot is not None
    message.leave(db, snapshot.project_id, "create_snapshot", snapshot.id, job.error)


FLOW = Flow("create_snapshot", [AgentStep("make_snapshot", undo_on_host="remove_snapshot")], ended)
