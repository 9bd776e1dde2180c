"""OS::Neutron::Quota: what a project may have of the network service."""
from __future__ import annotations

from pilvi.orchestration.types.quota import Quota as Limits
from pilvi.orchestration.types.quota import limit


class Quota(Limits):
    """Limits by kind of thing."""
    name = "OS::Neutron::Quota"
    description = "A project's limits in the network service."
    service = requires_service = "network"
    path, singular = "/v2.0/quotas", "quota"
    properties = {**Limits.properties, **{name: limit() for name in (
        "subnet", "network", "floatingip", "security_group_rule", "security_group", "router", "port", "subnetpool", "rbac_policy")}}
