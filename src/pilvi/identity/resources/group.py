"""Group: users that get roles together.

Source: Identity API v3, "Groups".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, field, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.assignment import forget_actor
from pilvi.identity.resources.domain import add_extras, place_in_domain
from pilvi.identity.resources.domain_config import kept_elsewhere
from pilvi.identity.resources.membership import Membership, leave
from pilvi.identity.resources.relative import known_here


class Group(HexIdentified, Base):
    __tablename__ = "identity_groups"
    name: Mapped[str] = field(text(64, shortest=1), create=REQUIRED, update=True, index=True)
    domain_id: Mapped[str] = field(text(64), create=OPTIONAL, default="default", nullable=False)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    local_id: Mapped[str | None]
    """The id in the directory of the domain whose entry this row stands for; None: the group is identity's own."""
    gone: Mapped[bool] = mapped_column(default=False)
    """The directory has no such entry any more."""
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def place(call: Call, group: Group, values: dict[str, Any]) -> None:
    """Fills in the domain and keeps names unique in it."""
    assert call.db is not None
    place_in_domain(call, group, values)
    if kept_elsewhere(call.db, group.domain_id): raise errors.DirectoryReadOnly()
    check_name(call, group, values)


def visible(call: Call) -> Any:
    """A domain's token sees the domain's groups."""
    return Group.domain_id == call.identity.domain_id if call.identity.domain_id else None


def change(call: Call, group: Group, values: dict[str, Any]) -> None:
    """Raises NameTaken, DirectoryReadOnly."""
    if group.local_id is not None: raise errors.DirectoryReadOnly()
    check_name(call, group, values)


def check_name(call: Call, group: Group, values: dict[str, Any]) -> None:
    """Raises NameTaken."""
    assert call.db is not None
    name = values.get("name", group.name)
    same = select(Group.id).where(Group.name == name, Group.domain_id == group.domain_id, Group.id != group.id,
                                  Group.local_id.is_(None))
    if call.db.execute(same).first(): raise errors.NameTaken(what="group", name=name)


def remove(call: Call, group: Group) -> None:
    """Its roles and memberships go with it."""
    assert call.db is not None
    if group.local_id is not None and kept_elsewhere(call.db, group.domain_id): raise errors.DirectoryReadOnly()
    forget_actor(call.db, group.id)
    leave(call.db, Membership.group_id, group.id)
    auth.forget()


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    add_extras(call, rows, bodies)
    for body in bodies: del body["tags"], body["options"]


RESOURCE = Resource(
    Group, "group", "/v3/groups", KEYSTONE, owner=None, missing=errors.GroupNotFound, default_sort=[("name", False)],
    policy=policies.verbs("group"), visible=visible, alive=known_here("group"), told_missing=("delete",),
    on_create=place, on_update=change, on_delete=remove, on_render=render)
