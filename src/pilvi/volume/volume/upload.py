"""Making an image of a volume that no server holds; an image whose bytes did not arrive is removed again."""
from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session

from pilvi.core.errors import Forbidden
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow
from pilvi.image import client as image
from pilvi.volume.resources import message
from pilvi.volume.resources.tables import Volume
from pilvi.volume.volume.states import VOLUME

LOG = structlog.get_logger()


def drop_image(application: Application, job: Any) -> None:
    """Removes the image. One that its owner protects is the owner's to remove."""
    try: image.delete(application.state["service_call"](), job.facts["image_id"])
    except Forbidden as failure: LOG.warning("image stays", image=job.facts["image_id"], reason=failure.message)


def ended(db: Session, job: Any, failed: bool) -> None:
    """The volume is free again; a failure leaves a message."""
    if not VOLUME.finish(db, Volume, job.subject_id, "upload", failed=failed) or not failed: return
    volume = db.get(Volume, job.subject_id, populate_existing=True)
    assert volume is not None
    message.leave(db, volume.project_id, "upload", volume.id, job.error)


FLOW = Flow("upload", [AgentStep("upload_volume", undo=drop_image)], ended)
