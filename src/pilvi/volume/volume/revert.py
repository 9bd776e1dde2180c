"""Taking a volume back to its latest snapshot."""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.core.task import AgentStep, Flow
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Snapshot, Volume
from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import VOLUME


def ended(db: Session, job: Any, failed: bool) -> None:
    """The volume has the snapshot's content, or is an error with a message that says why; the snapshot stays."""
    SNAPSHOT.finish(db, Snapshot, job.facts["snapshot_id"], "restore", failed=failed)
    if not VOLUME.finish(db, Volume, job.subject_id, "revert", failed=failed) or not failed: return
    volume = db.get(Volume, job.subject_id, populate_existing=True)
    assert volume is not None
    message.leave(db, volume.project_id, "revert", volume.id, job.error)


FLOW = Flow("revert", [AgentStep("revert_volume")], ended)
