"""Options of volume."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    quota_volumes: int = 10
    """How many volumes a project may have by default (-1: no limit)."""
    quota_snapshots: int = 10
    """How many snapshots a project may have by default (-1: no limit)."""
    quota_gigabytes: int = 1000
    """How many GiB its volumes and snapshots may have together by default (-1: no limit)."""
    per_volume_gigabytes: int = -1
    """The largest volume, in GiB (-1: no limit)."""
    host_silence_seconds: int = 60
    """A host that has not reported its capacity for so long gets no new volumes."""
    task_limit_seconds: int = 3600
    """A creation on a host that keeps silent is given up after so long; what it left is removed when the host is back."""
    grant_seconds: int = 3600
    """How long an agent may use what a task entitles it to."""
    availability_zone: str = "nova"
    """The zone that all hosts are in."""
