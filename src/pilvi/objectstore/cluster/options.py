"""What of the storage can be chosen; a part of the service's configuration."""
from __future__ import annotations

from msgspec import Struct, field

from pilvi.objectstore.policies import Policy

GIB = 1 << 30


class StorageOptions(Struct, kw_only=True):
    """[objectstore.storage]: what a new store begins with, and how its loops run. Rings of a store that exists are changed by `pilvi
    object-ring`."""
    devices: int = 1
    """Directories of this process's own; a copy of an object never shares one with another copy."""
    replicas: int = 1
    """Copies of accounts and containers, and of objects in policy 0."""
    partition_power: int = 8
    """2 to the power of this many partitions; of objects, `pilvi object-ring double` makes more later."""
    policies: list[Policy] = field(default_factory=list)
    """Storage policies; empty: one, `Policy-0`, with `replicas` copies."""
    reserve_bytes: int = 2 * GIB
    """Room on a device that uploads leave free."""
    reclaim_seconds: int = 7 * 86400
    """How long deletions are remembered; a device that was away longer must be emptied before it returns."""
    replicate_seconds: float = 30.0
    """Between two rounds of comparing copies; 0: no loops run here."""
    shard_objects: int = 1_000_000
    """A container with more objects is divided into shards of half as many each, in the background; 0: never."""
    audit_bytes_per_second: int = 10 << 20
    """How much the auditor reads."""

    node_listen: str = ""
    """ADDRESS:PORT at which other nodes reach this process's devices; empty: there are no others."""

    def all_policies(self) -> list[Policy]:
        """With the default when none are given."""
        return self.policies or [Policy(index=0, name="Policy-0", replicas=self.replicas, default=True)]
