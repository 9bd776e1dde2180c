"""Asking a directory about those whom a request is about, before the request's own transaction: afterwards the rows say what is so."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http.app import Application
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity.directory.lookup import Source, source_of
from pilvi.identity.directory.mirror import is_public_id, keep_groups, keep_memberships, keep_users, known_ids
from pilvi.identity.drivers.interface import Directory, Person
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.group import Group
from pilvi.identity.resources.user import User


def before(call: Call, entry: Route, names: Mapping[str, str]) -> None:
    """Service.before: the entries that a path or query names by id, and the lists that are of one domain. Raises DirectoryAway."""
    if entry.policy == ANYONE: return
    assert call.application is not None and call.request is not None
    app, query = call.application, dict(call.request.query)
    for id in {*names.values(), query.get("user.id", ""), query.get("group.id", "")}:
        if is_public_id(id): meet_id(app, id)
    if entry.path == "/v3/groups/{group_id}/users": meet_members(app, names["group_id"])
    listed = {"/v3/users": meet_users, "/v3/groups": meet_groups}.get(entry.path)
    if listed and entry.method == "GET" and (domain_id := query.get("domain_id") or call.identity.domain_id):
        listed(app, domain_id, query.get("name"))


def meet_id(app: Application, id: str) -> None:
    """A user or group that was met before. Raises DirectoryAway."""
    with app.database.read() as db:
        known = db.execute(select(User.domain_id, User.local_id).where(User.id == id)).first()
        group = None if known else db.execute(select(Group.domain_id, Group.local_id).where(Group.id == id)).first()
    if known and known.local_id is not None: _meet_user(app, id, known.domain_id, known.local_id)
    if group and group.local_id is not None: _meet_group(app, id, group.domain_id, group.local_id)


def _meet_user(app: Application, id: str, domain_id: str, local_id: str) -> None:
    source = source_of(app, domain_id)
    if source is None:
        keep_users(app, domain_id, [], instead_of=[id])
        return
    if source.fresh("user", id): return
    person = source.ask(lambda directory: directory.person(local_id))
    keep_users(app, domain_id, [person] if person else [], instead_of=[id])
    if person: _keep_circles(app, source, id, person)
    source.answered("user", id)


def _keep_circles(app: Application, source: Source, id: str, person: Person) -> None:
    circles = source.ask(lambda directory: directory.circles_of(person))
    keep_memberships(app, user_id=id, others=keep_groups(app, source.domain_id, circles))


def _meet_group(app: Application, id: str, domain_id: str, local_id: str) -> None:
    source = source_of(app, domain_id)
    if source is None:
        keep_groups(app, domain_id, [], instead_of=[id])
        return
    if source.fresh("group", id): return
    circle = source.ask(lambda directory: directory.circle(local_id))
    keep_groups(app, domain_id, [circle] if circle else [], instead_of=[id])
    source.answered("group", id)


def meet_members(app: Application, group_id: str) -> None:
    """The users in a group. Raises DirectoryAway."""
    with app.database.read() as db: group = db.get(Group, group_id)
    source = source_of(app, group.domain_id) if group and group.local_id is not None else None
    if group is None or source is None or source.fresh("members", group_id): return
    local_id: str = group.local_id  # type: ignore[assignment]

    def members(directory: Directory) -> list[Person]:
        circle = directory.circle(local_id)
        return directory.members(circle) if circle else []

    keep_memberships(app, group_id=group_id, others=keep_users(app, group.domain_id, source.ask(members)))
    source.answered("members", group_id)


def meet_users(app: Application, domain_id: str, name: str | None) -> None:
    """A domain's users, or those of that name. Raises DirectoryAway."""
    source = source_of(app, domain_id)
    if source is None or source.fresh("users", name or "") or source.fresh("users", ""): return
    people = source.ask(lambda directory: directory.people(name))
    keep_users(app, domain_id, people, instead_of=known_ids(app, User, domain_id, name))
    source.answered("users", name or "")


def meet_groups(app: Application, domain_id: str, name: str | None) -> None:
    """A domain's groups, or those of that name. Raises DirectoryAway."""
    source = source_of(app, domain_id)
    if source is None or source.fresh("groups", name or "") or source.fresh("groups", ""): return
    circles = source.ask(lambda directory: directory.circles(name))
    keep_groups(app, domain_id, circles, instead_of=known_ids(app, Group, domain_id, name))
    source.answered("groups", name or "")


def meet_named(app: Application, asked: dict[str, Any]) -> dict[str, Any]:
    """Somebody whom a body names by id, or by name and domain; gives what names the same user for certain (a directory does not tell a from
    A). Identity's own users come first. Raises DirectoryAway."""
    if is_public_id(str(asked.get("id", ""))):
        meet_id(app, asked["id"])
        return asked
    source = source_of(app, domain_named(app, asked)) if asked.get("name") and "id" not in asked else None
    if source is None: return asked
    name, domain_id = asked["name"], source.domain_id
    with app.database.read() as db:
        if db.scalar(select(User.id).where(User.name == name, User.domain_id == domain_id, User.local_id.is_(None))): return asked
    people = source.ask(lambda directory: directory.people(name))
    ids = keep_users(app, domain_id, people, instead_of=known_ids(app, User, domain_id, name))
    return asked | {"id": ids[0]} if len(ids) == 1 else asked


def domain_named(app: Application, asked: Mapping[str, Any]) -> str | None:
    """The id of the domain that a body names a user in."""
    domain = asked.get("domain") or {}
    if domain.get("id"): return str(domain["id"])
    with app.database.read() as db: return db.scalar(select(Domain.id).where(Domain.name == domain.get("name", "")))


def fits(app: Application, user: User | None, asked: Mapping[str, Any]) -> bool | None:
    """Is the password that a body holds that of somebody in a directory? None: the domain has none, or the user is identity's own; the
    caller looks. After the right one the user's groups are known as they are now. Raises DirectoryAway."""
    if user is not None and user.local_id is None: return None
    source = source_of(app, user.domain_id if user else domain_named(app, asked))
    if source is None: return None if user is None else False
    local_id = user.local_id if user else None
    person = source.ask(lambda directory: directory.person(local_id)) if local_id is not None else None
    right = source.ask(lambda directory: directory.fits(person, asked["password"]))
    if not right or user is None or person is None or not person.enabled: return False
    keep_users(app, user.domain_id, [person])
    _keep_circles(app, source, user.id, person)
    source.answered("user", user.id)
    return True
