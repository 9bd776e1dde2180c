"""OS::Cinder::Quota: what a project may have of the volume service."""
from __future__ import annotations

from pilvi.orchestration.types.quota import Quota as Limits
from pilvi.orchestration.types.quota import limit


class Quota(Limits):
    """Limits by kind of thing."""
    name = "OS::Cinder::Quota"
    description = "A project's limits in the volume service."
    since = "7.0.0"
    service = requires_service = "volume"
    path, singular = "/v3/os-quota-sets", "quota_set"
    properties = {**Limits.properties, **{name: limit() for name in ("gigabytes", "volumes", "snapshots", "backups", "backup_gigabytes")}}
