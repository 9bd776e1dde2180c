"""The rows that stand for a directory's entries: users and groups like others, so that roles, tokens, trusts and lists need not know.

A row is made when its entry is first met and written anew when the entry was found changed; its id follows from the entry's own
(Keystone's way, so the ids are the same there). An entry that is no longer found leaves its row behind, hidden and switched off: its roles
would count again if it came back. All of this is no administrator's act: it is not in the audit log and tells no event.
"""
from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pilvi.core.http import auth
from pilvi.core.http.app import Application
from pilvi.identity.drivers.interface import Circle, Person
from pilvi.identity.resources.group import Group
from pilvi.identity.resources.membership import Membership
from pilvi.identity.resources.user import User

STEP = 500
"""Ids in one statement."""
Row = dict[str, Any]


def public_id(domain_id: str, kind: str, local_id: str) -> str:
    """The id of an entry here; `kind` is user or group."""
    return hashlib.sha256(f"{domain_id}{kind}{local_id}".encode()).hexdigest()


def is_public_id(id: str) -> bool:
    """Could it be one? (Ids that identity makes itself are half as long.)"""
    return len(id) == 64


def keep_users(app: Application, domain_id: str, found: Sequence[Person], *, instead_of: Collection[str] = ()) -> list[str]:
    """Writes what was found; those of `instead_of` (ids here) that were not found are gone. Gives the ids of the found ones."""
    rows: list[Row] = [{"id": public_id(domain_id, "user", each.id), "domain_id": domain_id, "local_id": each.id, "name": each.name,
             "email": each.email, "description": each.description, "enabled": each.enabled, "gone": False} for each in found]
    _keep(app, User, rows, instead_of)
    return [row["id"] for row in rows]


def keep_groups(app: Application, domain_id: str, found: Sequence[Circle], *, instead_of: Collection[str] = ()) -> list[str]:
    """The same for groups."""
    rows: list[Row] = [{"id": public_id(domain_id, "group", each.id), "domain_id": domain_id, "local_id": each.id, "name": each.name,
             "description": each.description, "gone": False} for each in found]
    _keep(app, Group, rows, instead_of)
    return [row["id"] for row in rows]


def known_ids(app: Application, table: type[User] | type[Group], domain_id: str, name: str | None = None) -> list[str]:
    """The rows that stand for entries of the domain (of that name) and are not gone."""
    named = [] if name is None else [table.name == name]
    with app.database.read() as db:
        return list(db.scalars(select(table.id).where(table.domain_id == domain_id, table.local_id.is_not(None), table.gone.is_(False),
                                                      *named)))


def keep_memberships(app: Application, *, user_id: str = "", group_id: str = "", others: Collection[str]) -> None:
    """A user's groups or a group's users, as the directory has them: what is not named any more ends."""
    mine, theirs = (Membership.user_id, Membership.group_id) if user_id else (Membership.group_id, Membership.user_id)
    with app.database.read() as db: before = set(db.scalars(select(theirs).where(mine == (user_id or group_id))))
    if before == set(others): return
    with app.database.write() as db:
        before = set(db.scalars(select(theirs).where(mine == (user_id or group_id))))
        for part in _parts(sorted(before - set(others))):
            db.execute(delete(Membership).where(mine == (user_id or group_id), theirs.in_(part)))
        rows = [{"user_id": user_id or other, "group_id": group_id or other} for other in sorted(set(others) - before)]
        if rows: db.execute(insert(Membership), rows)
        if before - set(others): auth.forget()


def _keep(app: Application, table: type[User] | type[Group], rows: list[Row], instead_of: Collection[str]) -> None:
    gone = sorted(set(instead_of) - {row["id"] for row in rows})
    with app.database.read() as db: new, changed, lost = _differences(db, table, rows, gone)
    if not (new or changed or lost): return
    try: _write(app, table, rows, gone)
    except IntegrityError: _write(app, table, rows, gone)  # another process has met the same entry at this moment


def _write(app: Application, table: type[User] | type[Group], rows: list[Row], gone: list[str]) -> None:
    off, member = ({"gone": True, "enabled": False}, Membership.user_id) if table is User else ({"gone": True}, Membership.group_id)
    with app.database.write() as db:
        new, changed, lost = _differences(db, table, rows, gone)
        if new: db.execute(insert(table), new)
        for row in changed: db.execute(update(table).where(table.id == row["id"]).values(**row))
        for part in _parts(lost):
            db.execute(update(table).where(table.id.in_(part)).values(**off))
            db.execute(delete(Membership).where(member.in_(part)))
        if changed or lost: auth.forget()


def _differences(db: Session, table: type[User] | type[Group], rows: list[Row], gone: list[str]) -> tuple[list[Row], list[Row], list[str]]:
    """(rows to be made, rows to be changed, ids that are gone)"""
    columns = [getattr(table, name) for name in rows[0]] if rows else []
    known: dict[str, Row] = {}
    for part in _parts([row["id"] for row in rows]):
        known |= {found["id"]: dict(found) for found in db.execute(select(*columns).where(table.id.in_(part))).mappings()}
    lost = [id for part in _parts(gone) for id in db.scalars(select(table.id).where(table.id.in_(part), table.gone.is_(False)))]
    unique = {row["id"]: row for row in rows}
    return ([row for id, row in unique.items() if id not in known],
            [row for id, row in unique.items() if id in known and known[id] != row], lost)


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start:start + STEP] for start in range(0, len(ids), STEP)]
