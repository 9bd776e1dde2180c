"""With whom an image is shared: the table behind members.

Source: Image service API v2, "Sharing".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Float, String, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.wire import Base


class Member(Base):
    __tablename__ = "image_members"
    image_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    created_at: Mapped[float] = mapped_column(Float(53), default=clock.now)
    updated_at: Mapped[float] = mapped_column(Float(53), default=clock.now)


def with_member(image_id: Any, member_id: str, *statuses: str) -> ColumnElement[bool]:
    """Images that were shared with the project; with statuses: as far as it answered so."""
    shared = select(Member.image_id).where(Member.member_id == member_id)
    return image_id.in_(shared.where(Member.status.in_(statuses)) if statuses else shared)  # type: ignore[no-any-return]
