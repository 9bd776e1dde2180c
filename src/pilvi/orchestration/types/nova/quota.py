"""OS::Nova::Quota: what a project may have of the compute service."""
from __future__ import annotations

from pilvi.orchestration.types.quota import Quota as Limits
from pilvi.orchestration.types.quota import limit


class Quota(Limits):
    """Limits by kind of thing; those on addresses and security groups are the network service's now."""
    name = "OS::Nova::Quota"
    description = "A project's limits in the compute service."
    service = requires_service = "compute"
    path, singular = "/v2.1/os-quota-sets", "quota_set"
    properties = {**Limits.properties, **{name: limit() for name in (
        "cores", "instances", "key_pairs", "metadata_items", "ram", "server_groups", "server_group_members")}}
