"""OS::Keystone::Role: a word that policies speak about."""
from __future__ import annotations

from pilvi.orchestration.types.interface import SHOW, string
from pilvi.orchestration.types.keystone.resource import NAME, IdentityResource


class Role(IdentityResource):
    """Of one domain, or of all."""
    name = "OS::Keystone::Role"
    description = "A role."
    since = "2015.1"
    path, singular = "/v3/roles", "role"
    properties = {"name": NAME, "domain": string("The domain it belongs to; not given: all.", wire="domain_id", refers="keystone.domain",
                                                 since="16.0.0")}
    attributes = {"show": SHOW}
