"""What trusts and application credentials share: the roles that are handed on, and what a handed-on token may not do.

Source: Identity API v3, "Trusts", "Application Credentials".
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.errors import Conflict, Forbidden
from pilvi.identity import errors
from pilvi.identity.resources import role as roles
from pilvi.identity.resources.role import Role

ROLES = {"type": "array", "maxItems": 100, "items": {"type": "object", "properties": {
    "id": {"type": "string", "maxLength": 64}, "name": {"type": "string", "maxLength": 255}}}}


def forbid_delegated(call: Call, action: str, *, restricted_only: bool = False) -> None:
    """A token that was handed on does not hand on more, or it would outlive what it was made from. Raises Forbidden."""
    given = call.identity.delegation
    if given and (not restricted_only or given.restricted): raise Forbidden(action=f"{action} with a token of kind {given.kind}")


def named_roles(call: Call, asked: Iterable[dict[str, str]]) -> list[str]:
    """The ids of roles that a body names by id or by name. Raises RoleNotFound, Conflict."""
    assert call.db is not None
    found = []
    for wish in asked:
        condition = Role.id == wish["id"] if wish.get("id") else Role.name == wish.get("name", "")
        ids = list(call.db.scalars(select(Role.id).where(condition)))
        if not ids: raise errors.RoleNotFound(id=wish.get("id") or wish.get("name", ""))
        if len(ids) > 1: raise Conflict(reason=f"several roles have the name {wish['name']}")
        found.append(ids[0])
    return found


def token_role_ids(call: Call) -> set[str]:
    """The roles of the caller's token: nobody hands on more than that."""
    assert call.db is not None
    return set(call.db.scalars(select(Role.id).where(Role.name.in_(call.identity.roles), Role.domain_id.is_(None))))


def roles_shown(call: Call, ids: Iterable[str]) -> list[dict[str, Any]]:
    """The roles as the API shows them, by name; those that are gone are left out."""
    assert call.db is not None
    rows = list(call.db.query(Role).where(Role.id.in_(list(ids))).order_by(Role.name))
    return roles.RESOURCE.render(call, rows)
