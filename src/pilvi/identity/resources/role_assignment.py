"""Role assignments as one list: who has which role where, as assigned or as they take effect.

Source: Identity API v3, "Role Assignments".
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.routes import Route
from pilvi.identity.resources.assignment import SYSTEM, Assignment
from pilvi.identity.resources.effective_role import of_user, places
from pilvi.identity.resources.membership import Membership
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.relative import links, resource
from pilvi.identity.resources.role import expand

NO = {"0", "false", "False", "FALSE"}


class Entry(NamedTuple):
    """One line: `role_id`, `actor` and `place` are what takes effect, `row` is why."""
    row: Assignment
    actor: tuple[str, str]
    role_id: str
    place: tuple[str, str]


class Names:
    """The names of what the lines speak of, each looked up once."""

    def __init__(self, call: Call) -> None:
        self.call, self.known = call, dict[tuple[str, str], dict[str, Any]]()

    def of(self, kind: str, id: str) -> dict[str, Any]:
        """{id, name and, for what lies in a domain, the domain}"""
        if (kind, id) in self.known: return self.known[kind, id]
        assert self.call.db is not None
        found: Any = self.call.db.get(resource(self.call, kind).table, id)
        shown: dict[str, Any] = {"id": id} | ({"name": found.name} if found else {})
        if domain_id := getattr(found, "domain_id", None): shown["domain"] = self.of("domain", domain_id)
        self.known[kind, id] = shown
        return shown


class Tree:
    """Which projects lie below which; read once for a whole list, if it is needed at all."""

    def __init__(self, call: Call) -> None:
        self.call = call

    @cached_property
    def rows(self) -> list[Any]:
        """(id, parent, domain) of every project."""
        assert self.call.db is not None
        columns = Project.id, Project.parent_id, Project.domain_id
        return list(self.call.db.execute(select(*columns).where(Project.is_domain.is_(False))))

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """{project or domain: projects right below it}"""
        found: dict[str, list[str]] = {}
        for id, parent_id, domain_id in self.rows: found.setdefault(parent_id or domain_id, []).append(id)
        return found

    @cached_property
    def domain(self) -> dict[str, str]:
        """{project: its domain}"""
        return {id: domain_id for id, _, domain_id in self.rows}

    def below(self, id: str) -> list[str]:
        """All projects under a project or domain."""
        found, open_ = list[str](), list(self.children.get(id, ()))
        while open_:
            found.append(open_.pop())
            open_ += self.children.get(found[-1], ())
        return found


def list_assignments(call: Call) -> dict[str, Any]:
    """GET /v3/role_assignments with user.id, group.id, role.id, scope.*, effective, include_names, include_subtree."""
    assert call.db is not None and call.request is not None
    query = dict(call.request.query)
    effective, subtree, names = (_flag(query, name) for name in ("effective", "include_subtree", "include_names"))
    own = call.identity.domain_id
    permit(call, "list_role_assignments_for_tree" if subtree else "list_role_assignments", {"domain_id": own} if own else {})
    _check(query, effective, subtree)
    tree = Tree(call)
    wanted = None
    if project_id := query.get("scope.project.id"): wanted = {project_id, *(tree.below(project_id) if subtree else ())}
    rows = call.db.scalars(select(Assignment).where(*_conditions(call, query, effective, wanted)))
    entries = (entry for row in rows for entry in (_effects(call, row, tree, wanted) if effective else [_as_is(row)]))
    namer = Names(call)
    return {"role_assignments": [_body(call, entry, namer if names else None, effective) for entry in entries
                                 if _fits(entry, query, wanted) and (own is None or _domain_of(entry, tree) == own)],
            "links": links(call)}


def _flag(query: dict[str, str], name: str) -> bool:
    return name in query and query[name] not in NO


def _check(query: dict[str, str], effective: bool, subtree: bool) -> None:
    """Raises Invalid for what contradicts itself."""
    if "user.id" in query and "group.id" in query: raise Invalid("Specify a user or group, not both")
    if sum(name in query for name in ("scope.domain.id", "scope.project.id", "scope.system")) > 1:
        raise Invalid("Specify a domain, a project or the system, not several")
    if effective and "group.id" in query: raise Invalid("Combining effective and group filter will always result in an empty list.")
    if subtree and "scope.project.id" not in query: raise Invalid("scope.project.id must be specified if include_subtree is also specified")


def _conditions(call: Call, query: dict[str, str], effective: bool, wanted: set[str] | None) -> list[Any]:
    """What the database can tell apart; `_fits` does the rest."""
    assert call.db is not None
    found: list[Any] = []
    if user_id := query.get("user.id"): found.append(of_user(user_id) if effective else Assignment.actor_id == user_id)
    if group_id := query.get("group.id"): found.append(Assignment.actor_id == group_id)
    if domain_id := query.get("scope.domain.id"):
        found.append(and_(Assignment.target_kind == "domain", Assignment.target_id == domain_id))
        if effective and "scope.OS-INHERIT:inherited_to" not in query: found.append(Assignment.inherited.is_(False))
    if "scope.system" in query: found.append(and_(Assignment.target_kind == "system", Assignment.target_id == SYSTEM))
    if wanted is not None:
        found.append(or_(*(places(call.db, "project", id) for id in wanted)) if effective else Assignment.target_id.in_(wanted))
    if (role_id := query.get("role.id")) and not effective: found.append(Assignment.role_id == role_id)
    if query.get("scope.OS-INHERIT:inherited_to") == "projects": found.append(Assignment.inherited)
    return found


def _as_is(row: Assignment) -> Entry:
    return Entry(row, (row.actor_kind, row.actor_id), row.role_id, (row.target_kind, row.target_id))


def _effects(call: Call, row: Assignment, tree: Tree, wanted: set[str] | None) -> Iterator[Entry]:
    """The roles that the assigned one implies, for each user of a group, on each project below an inherited one."""
    assert call.db is not None
    users = [row.actor_id] if row.actor_kind == "user" else call.db.scalars(
        select(Membership.user_id).where(Membership.group_id == row.actor_id)).all()
    roles = sorted(expand(call.db, {row.role_id}))
    targets = [("project", id) for id in tree.below(row.target_id) if wanted is None or id in wanted] if row.inherited else [
        (row.target_kind, row.target_id)]
    for user_id in users:
        for role_id in roles:
            for place in targets: yield Entry(row, ("user", user_id), role_id, place)


def _fits(entry: Entry, query: dict[str, str], wanted: set[str] | None) -> bool:
    if query.get("role.id") and entry.role_id != query["role.id"]: return False
    if wanted is not None and entry.place[1] not in wanted: return False
    return all(not query.get(f"{kind}.id") or entry.actor == (kind, query[f"{kind}.id"]) for kind in ("user", "group"))


def _domain_of(entry: Entry, tree: Tree) -> str | None:
    kind, id = entry.place
    return tree.domain.get(id) if kind == "project" else id if kind == "domain" else None


def _body(call: Call, entry: Entry, names: Names | None, effective: bool) -> dict[str, Any]:
    row, actor = entry.row, entry.actor
    place = f"{row.target_kind}s/{row.target_id}" if row.target_kind != "system" else "system"
    tail = f"{place}/{row.actor_kind}s/{row.actor_id}/roles/{row.role_id}"
    told = {"assignment": call.url(f"/v3/OS-INHERIT/{tail}/inherited_to_projects" if row.inherited else f"/v3/{tail}")}
    if actor[0] != row.actor_kind: told["membership"] = call.url(f"/v3/groups/{row.actor_id}/users/{actor[1]}")
    if entry.role_id != row.role_id: told["prior_role"] = call.url(f"/v3/roles/{row.role_id}/implies/{entry.role_id}")

    def named(kind: str, id: str) -> dict[str, Any]:
        return names.of(kind, id) if names else {"id": id}

    scope: dict[str, Any] = {"system": {"all": True}} if entry.place[0] == "system" else {entry.place[0]: named(*entry.place)}
    if row.inherited and not effective: scope["OS-INHERIT:inherited_to"] = "projects"
    return {"role": named("role", entry.role_id), actor[0]: named(*actor), "scope": scope, "links": told}


ROUTES = [Route("/v3/role_assignments", "GET", list_assignments, None, transaction="read")]
