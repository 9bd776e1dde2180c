"""Message: why something that was begun for a user did not come about.

Source: Block Storage API v3, "Messages"; microversions 3.3, 3.5 (paging).
"""
from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Mapped, Session

from pilvi.core import clock
from pilvi.core.dialect import CINDER
from pilvi.core.resource import Resource
from pilvi.core.wire import Base, Identified, field, instant, text
from pilvi.volume import errors

KEPT_SECONDS = 30 * 86_400.0
WHAT = {"create": ("VOLUME", "001"), "delete": ("VOLUME", "011"), "extend": ("VOLUME", "005"),
        "revert": ("VOLUME", "014"), "upload": ("VOLUME", "003"),
        "create_snapshot": ("VOLUME_SNAPSHOT", "009"), "delete_snapshot": ("VOLUME_SNAPSHOT", "010")}
"""{flow: (type of its subject, Cinder's number of the action)}"""


class VolumeMessage(Identified, Base):
    __tablename__ = "volume_messages"
    project_id: Mapped[str] = field(text(64), show=False, nullable=False, index=True)
    event_id: Mapped[str | None] = field(text(255))
    user_message: Mapped[str | None] = field(text(2048), filter=False)
    message_level: Mapped[str] = field(text(16), default="ERROR")
    created_at: Mapped[float] = field(instant(), default=clock.now, filter=False)
    guaranteed_until: Mapped[float] = field(instant(), default=lambda: clock.now() + KEPT_SECONDS, filter=False)
    request_id: Mapped[str | None] = field(text(255))
    resource_type: Mapped[str | None] = field(text(64))
    resource_uuid: Mapped[str | None] = field(text(64))


def leave(db: Session, project_id: str, flow: str, subject_id: str, error: str | None) -> None:
    """Tells the project what failed. In the caller's transaction."""
    kind, action = WHAT[flow]
    db.add(VolumeMessage(project_id=project_id, event_id=f"VOLUME_{kind}_{action}_001", resource_type=kind, resource_uuid=subject_id,
                         user_message=f"{flow.replace('_', ' ')}: {error or 'An unknown error occurred.'}"[:2048]))
    db.flush()


RESOURCE = Resource(
    VolumeMessage, "message", "/v3/messages", replace(CINDER, detail=False, status=CINDER.status | {"delete": 204}),
    verbs=("list", "show", "delete"), missing=errors.MessageNotFound, default_sort=[("created_at", True)],
    policy={"list": "reader", "show": "reader", "delete": "member"})

