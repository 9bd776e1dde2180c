"""Growing a volume that no server holds."""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.core.task import AgentStep, Flow
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Volume
from pilvi.volume.volume.states import VOLUME


def ended(db: Session, job: Any, failed: bool) -> None:
    """The volume has its new size, or is in error_extending with a message that says why."""
    size = job.facts["old_size"] if failed else job.facts["size"]
    if not VOLUME.finish(db, Volume, job.subject_id, "extend", failed=failed, size=size, new_size=None) or not failed: return
    volume = db.get(Volume, job.subject_id, populate_existing=True)
    assert volume is not None
    message.leave(db, volume.project_id, "extend", volume.id, job.error)


FLOW = Flow("extend", [AgentStep("grow_volume")], ended)
