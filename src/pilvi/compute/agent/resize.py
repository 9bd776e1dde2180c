"""Resizing, the part on the host: the machine is stopped, gets its new size, and runs again if it ran before."""
from __future__ import annotations

from typing import Any

from pilvi.compute.agent import boot
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers.interface import Size
from pilvi.core.errand import Errand


def resize_machine(node: Node, errand: Errand) -> None:
    """The new flavor's size; what it was stays beside it."""
    errand.still_mine()
    driver, flavor = node.drivers[errand.host], errand.facts["flavor"]
    driver.stop(errand.subject_id, node.grace_seconds)
    driver.resize(errand.subject_id, Size(vcpus=flavor["vcpus"], memory_mib=flavor["ram"], disk_gib=flavor["disk"],
                                          extra_specs=flavor["extra_specs"]))
    _run_as_before(node, errand, flavor)


def keep_resized(node: Node, errand: Errand) -> None:
    """What the machine was before is forgotten."""
    node.drivers[errand.host].settle(errand.subject_id, keep=True)


def take_resize_back(node: Node, errand: Errand) -> None:
    """The machine is what it was, the contents of its disk included."""
    driver = node.drivers[errand.host]
    driver.stop(errand.subject_id, node.grace_seconds)
    driver.settle(errand.subject_id, keep=False)
    _run_as_before(node, errand, errand.facts["before"]["flavor"])


def _run_as_before(node: Node, errand: Errand, flavor: dict[str, Any]) -> None:
    node.write_metadata(errand.subject_id, boot.metadata_of(errand) | {"flavor": flavor["name"]})
    if errand.facts["before"]["state"] != "active": return
    with node.boots: node.drivers[errand.host].start(errand.subject_id)
