"""OS::Keystone::Project and Domain."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import SHOW, Attribute, Work, list_of, string
from pilvi.orchestration.types.keystone.resource import DESCRIPTION, DOMAIN, ENABLED, NAME, IdentityResource


class Project(IdentityResource):
    """Things belong to projects; tags come with the request."""
    name = "OS::Keystone::Project"
    description = "A project."
    since = "2015.1"
    path, singular = "/v3/projects", "project"
    properties = {
        "name": NAME, "domain": DOMAIN, "description": DESCRIPTION, "enabled": ENABLED,
        "parent": string("The project above it.", wire="parent_id", refers="keystone.project", since="6.0.0"),
        "tags": list_of(string(), "Words to find it by.", default=[], update=True, since="10.0.0"),
    }
    attributes = {"name": Attribute("Its name."), "parent_id": Attribute("The project above it."),
                  "domain_id": Attribute("The domain it belongs to."), "enabled": Attribute("Is it in use?", "boolean"),
                  "is_domain": Attribute("Does it stand for a domain?", "boolean"), "show": SHOW}


class Domain(IdentityResource):
    """A domain can only be deleted once it is disabled."""
    name = "OS::Keystone::Domain"
    description = "A domain: a space of its own for the names of projects, users and groups."
    since = "8.0.0"
    path, singular = "/v3/domains", "domain"
    properties = {"name": NAME, "description": string("What it is for.", update=True), "enabled": ENABLED}
    attributes = {"show": SHOW}

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return False

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        try: work.ask("identity", "PATCH", self.item(work), {"domain": {"enabled": False}})
        except NotFound: return
        super().delete(work)
