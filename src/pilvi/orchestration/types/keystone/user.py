"""OS::Keystone::User and Group."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import SHOW, Attribute, Work, list_of, string
from pilvi.orchestration.types.keystone import role_assignment
from pilvi.orchestration.types.keystone.resource import DESCRIPTION, DOMAIN, ENABLED, NAME, IdentityResource


class User(IdentityResource):
    """With its roles, and the groups it is in."""
    name = "OS::Keystone::User"
    description = "A user."
    since = "2015.1"
    path, singular = "/v3/users", "user"
    properties = {
        "name": NAME, "domain": DOMAIN, "description": DESCRIPTION, "enabled": ENABLED,
        "email": string("Its address.", update=True),
        "password": string("Its password.", update=True),
        "default_project": string("The project it works in unless it says.", update=True, wire="default_project_id",
                                  refers="keystone.project"),
        "groups": list_of(string("", refers="keystone.group"), "The groups it is in.", update=True, wire=""),
        "roles": role_assignment.ROLES,
    }
    attributes = {"name": Attribute("Its name."), "default_project_id": Attribute("The project it works in unless it says."),
                  "domain_id": Attribute("The domain it belongs to."), "enabled": Attribute("Is it in use?", "boolean"),
                  "password_expires_at": Attribute("When its password ends."), "show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        role_assignment.validate(properties)

    def create(self, work: Work) -> None:
        super().create(work)
        self._join(work, work.properties["groups"])
        role_assignment.become(work, f"users/{work.physical_id}", work.properties["roles"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        if "groups" in changes: self._join(work, changes["groups"])
        if "roles" in changes: role_assignment.become(work, f"users/{work.physical_id}", changes["roles"])

    def _join(self, work: Work, groups: list[str] | None) -> None:
        """Makes the user a member of these groups, and no longer of those that this resource made it a member of before."""
        before: list[str] = work.data.get("groups", [])
        wanted = [find(work.call, "keystone.group", one) for one in groups or []]
        work.data["groups"] = list(dict.fromkeys([*before, *wanted]))
        for id in before:
            if id in wanted: continue
            try: work.ask("identity", "DELETE", f"/v3/groups/{id}/users/{work.physical_id}")
            except NotFound: pass
        for id in wanted: work.ask("identity", "PUT", f"/v3/groups/{id}/users/{work.physical_id}")
        work.data["groups"] = wanted


class Group(IdentityResource):
    """With its roles."""
    name = "OS::Keystone::Group"
    description = "A group of users."
    since = "2015.1"
    path, singular = "/v3/groups", "group"
    properties = {"name": NAME, "domain": DOMAIN, "description": DESCRIPTION, "roles": role_assignment.ROLES}
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        role_assignment.validate(properties)

    def create(self, work: Work) -> None:
        super().create(work)
        role_assignment.become(work, f"groups/{work.physical_id}", work.properties["roles"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        if "roles" in changes: role_assignment.become(work, f"groups/{work.physical_id}", changes["roles"])
