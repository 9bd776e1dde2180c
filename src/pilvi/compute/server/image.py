"""Making an image of a server's own root disk; an image whose bytes did not arrive is removed again."""
from __future__ import annotations

from typing import Any

import structlog

from pilvi.compute.server.ended import ended
from pilvi.core.errors import Forbidden, NotFound
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow
from pilvi.image import client as image

LOG = structlog.get_logger()


def drop_image(application: Application, task: Any) -> None:
    """Removes the image, unless all its bytes have arrived (only the word of it was lost), or its owner protects it. Repeatable."""
    call, id = application.state["service_call"](), task.facts["image_id"]
    try:
        if image.show(call, id)["status"] != "active": image.delete(call, id)
    except NotFound: pass
    except Forbidden as failure: LOG.warning("image stays", image=id, reason=failure.message)


CREATE_IMAGE = Flow("createImage", ended=ended, steps=[
    AgentStep("copy_disk", undo=drop_image, undo_on_host="drop_copy"), AgentStep("upload_copy", undo=drop_image)])
