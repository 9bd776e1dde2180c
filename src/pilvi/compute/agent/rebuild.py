"""Rebuilding a server, the part on its host: the new image first, while the old machine still runs; then a new root disk of it."""
from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pilvi.compute.agent import boot
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers.interface import Disk
from pilvi.core import trace
from pilvi.core.errand import Errand


def fetch_new_image(node: Node, errand: Errand) -> dict[str, Any] | None:
    """The image is on this host. What is told of that is no part of the story of the server's boot."""
    with trace.active(trace.Trace()): return boot.fetch_image(node, errand)


def rebuild_machine(node: Node, errand: Errand) -> None:
    """The machine is off and defined anew; it gets its disk when it starts. What it is told of itself may have changed, too."""
    errand.still_mine()
    driver, server = node.drivers[errand.host], errand.described
    known = driver.definition(errand.subject_id)
    metadata = boot.metadata_of(errand)
    node.write_metadata(errand.subject_id, metadata)
    drive = node.write_config_drive(errand.subject_id, metadata) if server["config_drive"] else None
    driver.rebuild(replace(
        known, name=server["name"], disks=[_anew(disk, errand) for disk in known.disks], config_drive_path=drive,
        kernel_path=errand.facts.get("kernel_id"), ramdisk_path=errand.facts.get("ramdisk_id"),
        image_properties=server["image_properties"]))


def _anew(disk: Disk, errand: Errand) -> Disk:
    if disk.connection is not None: return disk
    return replace(disk, image_path=errand.facts["image_path"], image_format=errand.facts["image_format"])
