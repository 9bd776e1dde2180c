"""All flows of volumes and snapshots, by name."""
from __future__ import annotations

from pilvi.core.task import Flow
from pilvi.volume.snapshot import create as create_snapshot
from pilvi.volume.snapshot import delete as delete_snapshot
from pilvi.volume.volume import create, delete, extend, revert, upload

FLOWS: dict[str, Flow] = {one.FLOW.name: one.FLOW for one in (
    create, delete, extend, revert, upload, create_snapshot, delete_snapshot)}
