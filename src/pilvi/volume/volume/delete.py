"""Removing a volume from its host; its row stays as a tombstone."""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.task import AgentStep, Flow
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Snapshot, Volume
from pilvi.volume.resources.volume import bury
from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import VOLUME


def ended(db: Session, job: Any, failed: bool) -> None:
    """The volume is gone with its snapshots, or all of them say error_deleting."""
    if not failed:
        bury(db, job.subject_id)
        return
    if not VOLUME.finish(db, Volume, job.subject_id, "delete", failed=True): return
    for id in db.execute(select(Snapshot.id).where(Snapshot.volume_id == job.subject_id, Snapshot.busy == "deleting")).scalars().all():
        SNAPSHOT.finish(db, Snapshot, id, "delete", failed=True)
    volume = db.get(Volume, job.subject_id, populate_existing=True)
    assert volume is not None
    message.leave(db, volume.project_id, "delete", volume.id, job.error)


FLOW = Flow("delete", [AgentStep("remove_volume")], ended)
