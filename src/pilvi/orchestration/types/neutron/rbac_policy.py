"""OS::Neutron::RBACPolicy: lets another project use a network."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import Conflict
from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.interface import SHOW, Work, string
from pilvi.orchestration.types.neutron.resource import TENANT, NetworkResource


class RBACPolicy(NetworkResource):
    """Who may use what, and how."""
    name = "OS::Neutron::RBACPolicy"
    description = "Lets another project use a thing of the network service."
    since = "6.0.0"
    path, singular, named = "/v2.0/rbac-policies", "rbac_policy", False
    properties = {
        "object_type": string("The kind of thing.", required=True,
                              constraints=(AllowedValues(("network", "qos_policy", "security_group", "address_scope", "subnetpool")),)),
        "target_tenant": string("The project; * for all.", required=True, update=True),
        "action": string("What it may.", required=True, constraints=(AllowedValues(("access_as_shared", "access_as_external")),)),
        "object_id": string("The thing: its id, or for a network its name.", required=True),
        "tenant_id": TENANT,
    }
    attributes = {"show": SHOW}

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The policy itself is its name: two that say the same are refused."""
        try: return self.opened(work.ask(self.service, "POST", self.path, self.wrapped(dict(body))))
        except Conflict: pass
        told = {name: body[name] for name in ("object_id", "action", "target_tenant")}
        return next(iter(work.ask(self.service, "GET", self.path, **told)["rbac_policies"]), None)
