"""What the identity service's resource types have in common."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.types.interface import Property, Work, boolean, string
from pilvi.orchestration.types.rest import RestResource

NAME = string("Its name.", update=True)
DESCRIPTION = string("What it is for.", default="", update=True)
ENABLED = boolean("Is it in use?", default=True, update=True)
DOMAIN: Property = string("The domain it belongs to.", default="default", update=True, wire="domain_id", refers="keystone.domain")


class IdentityResource(RestResource):
    """One thing of the identity service. Its names are unique, so after a crash the name finds it."""
    service = requires_service = "identity"
    update_method = "PATCH"

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A thing never moves to another domain; what was taken out of the template stays as it is."""
        return {name: value for name, value in super().change(work, changes).items() if value is not None and name != "domain_id"}

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return bool(changes.get("domain"))
