"""OS::Keystone::UserRoleAssignment and GroupRoleAssignment: who has which role where."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import SHOW, Property, PropertyInvalid, ResourceType, Work, list_of, map_of, string

ROLES: Property = list_of(map_of({
    "role": string("The role.", required=True, refers="keystone.role"),
    "project": string("The project; either this or a domain.", refers="keystone.project"),
    "domain": string("The domain; either this or a project.", refers="keystone.domain"),
}), "Which roles it has, and where.", update=True, wire="")


def validate(properties: Mapping[str, Any]) -> None:
    """Raises PropertyInvalid."""
    for index, one in enumerate(properties["roles"] or []):
        if one and one["project"] and one["domain"]:
            raise PropertyInvalid(path=f"roles[{index}]", reason="Cannot define the following properties at the same time: project, "
                                                                 "domain.")


def become(work: Work, actor: str, roles: list[dict[str, Any]] | None) -> None:
    """Gives the actor ("users/ID", "groups/ID") these roles and takes those that this resource gave before. May be repeated."""
    before: list[str] = work.data.get("roles", [])
    wanted = [_path(work, actor, one) for one in roles or []]
    work.data["roles"] = list(dict.fromkeys([*before, *wanted]))
    for path in before:
        if path in wanted: continue
        try: work.ask("identity", "DELETE", path)
        except NotFound: pass
    for path in wanted: work.ask("identity", "PUT", path)
    work.data["roles"] = wanted


def _path(work: Work, actor: str, one: Mapping[str, Any]) -> str:
    role = find(work.call, "keystone.role", one["role"])
    if one["project"]: return f"/v3/projects/{find(work.call, 'keystone.project', one['project'])}/{actor}/roles/{role}"
    if one["domain"]: return f"/v3/domains/{find(work.call, 'keystone.domain', one['domain'])}/{actor}/roles/{role}"
    raise PropertyInvalid(path="roles", reason=f"Either project or domain must be specified for role {one['role']}")


class _Assignment(ResourceType):
    """`actor`: whose roles they are, the property and the word in the path."""
    since = "5.0.0"
    requires_service = "identity"
    actor: str = ""
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        validate(properties)

    def create(self, work: Work) -> None:
        work.physical_id = find(work.call, f"keystone.{self.actor}", work.properties[self.actor])
        become(work, f"{self.actor}s/{work.physical_id}", work.properties["roles"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        wanted = {**work.properties, **changes}
        work.physical_id = find(work.call, f"keystone.{self.actor}", wanted[self.actor])
        become(work, f"{self.actor}s/{work.physical_id}", wanted["roles"])

    def delete(self, work: Work) -> None:
        become(work, "", [])

    def attribute(self, work: Work, name: str) -> Any:
        return work.ask("identity", "GET", "/v3/role_assignments", **{f"{self.actor}.id": work.physical_id})


class UserRoleAssignment(_Assignment):
    """A user's."""
    name = "OS::Keystone::UserRoleAssignment"
    description = "Gives a user roles."
    actor = "user"
    properties = {"user": string("The user.", required=True, update=True, refers="keystone.user"), "roles": ROLES}


class GroupRoleAssignment(_Assignment):
    """A group's."""
    name = "OS::Keystone::GroupRoleAssignment"
    description = "Gives the users of a group roles."
    actor = "group"
    properties = {"group": string("The group.", required=True, update=True, refers="keystone.group"), "roles": ROLES}
