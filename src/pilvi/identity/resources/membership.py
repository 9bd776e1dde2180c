"""Membership: which users are in which groups; a group's roles are its users' roles.

Source: Identity API v3, "Groups" (users in a group, groups of a user).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import find, listed, target


class Membership(Base):
    __tablename__ = "identity_memberships"
    group_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True, index=True)


def groups_of(user_id: str) -> Select[str]:
    """The ids of a user's groups."""
    return select(Membership.group_id).where(Membership.user_id == user_id)


def leave(db: Session, column: Any, id: str) -> None:
    """A user or a group is gone, and its memberships with it. In the caller's transaction."""
    db.execute(delete(Membership).where(column == id))


def _permit(call: Call, verb: str, group_id: str, user_id: str) -> None:
    permit(call, verb, target(call, group=group_id, user=user_id), group_id=group_id, user_id=user_id)


def _check(call: Call, group_id: str, user_id: str) -> Membership:
    assert call.db is not None
    find(call, "group", group_id)
    find(call, "user", user_id)
    found = call.db.get(Membership, (group_id, user_id))
    if found is None: raise errors.UserNotInGroup(user_id=user_id, group_id=group_id)
    return found


def _check_writable(group: Any, user: Any) -> None:
    """Raises AcrossDirectories, DirectoryReadOnly."""
    if (group.local_id is None) != (user.local_id is None): raise errors.AcrossDirectories(group_id=group.id, user_id=user.id)
    if group.local_id is not None: raise errors.DirectoryReadOnly()


def add(call: Call, group_id: str, user_id: str) -> None:
    """PUT /v3/groups/{group_id}/users/{user_id}. Repeatable."""
    assert call.db is not None
    _permit(call, "add_user_to_group", group_id, user_id)
    _check_writable(find(call, "group", group_id), find(call, "user", user_id))
    call.db.merge(Membership(group_id=group_id, user_id=user_id))
    auth.forget()


def check(call: Call, group_id: str, user_id: str) -> None:
    """HEAD /v3/groups/{group_id}/users/{user_id}"""
    _permit(call, "check_user_in_group", group_id, user_id)
    _check(call, group_id, user_id)


def remove(call: Call, group_id: str, user_id: str) -> None:
    """DELETE /v3/groups/{group_id}/users/{user_id}: tokens that stood on the group's roles end."""
    assert call.db is not None
    _permit(call, "remove_user_from_group", group_id, user_id)
    _check_writable(find(call, "group", group_id), find(call, "user", user_id))
    call.db.delete(_check(call, group_id, user_id))
    auth.forget()


def list_users(call: Call, group_id: str) -> dict[str, Any]:
    """GET /v3/groups/{group_id}/users"""
    permit(call, "list_users_in_group", target(call, group=group_id), group_id=group_id)
    find(call, "group", group_id)
    return listed(call, "user", select(Membership.user_id).where(Membership.group_id == group_id), within_domain=True)


def list_groups(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/users/{id}/groups"""
    permit(call, "list_groups_for_user", target(call, user=id), user_id=id)
    find(call, "user", id)
    return listed(call, "group", groups_of(id), within_domain=True)


ONE = "/v3/groups/{group_id}/users/{user_id}"
ROUTES = [
    Route(ONE, "PUT", add, None, status=204, transaction="write"),
    Route(ONE, "GET", check, None, status=204, transaction="read"),
    Route(ONE, "DELETE", remove, None, status=204, transaction="write"),
    Route("/v3/groups/{group_id}/users", "GET", list_users, None, transaction="read"),
    Route("/v3/users/{id}/groups", "GET", list_groups, None, transaction="read"),
]
