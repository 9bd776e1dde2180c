"""Making an image of a server's root disk, the part on its host: a copy of the disk, which then becomes the image's bytes.

The copy lies beside what the agent keeps of the server, so it goes with the server at the latest.
"""
from __future__ import annotations

from pathlib import Path

from pilvi.compute.agent.node import Node
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errand import Errand
from pilvi.core.errors import Unavailable
from pilvi.image import client as image

ROOT = "root"
GIVEN_UP_SECONDS = 300.0
"""So long an upload is tried: the image service gives up one that broke off with it when its lease ends, two minutes later."""


def copy_disk(node: Node, errand: Errand) -> None:
    """The disk as it is at one moment; the guest runs on."""
    path = _copy(node, errand)
    path.parent.mkdir(parents=True, exist_ok=True)
    node.drivers[errand.host].copy_disk(errand.subject_id, ROOT, path)


def upload_copy(node: Node, errand: Errand) -> None:
    """The image has the copy's bytes, and the copy is gone."""
    path, until = _copy(node, errand), clock.monotonic() + GIVEN_UP_SECONDS
    while True:
        try:
            node.apis.ask(errand, lambda call: give(call, errand.facts["image_id"], path))
            break
        except Unavailable:
            if clock.monotonic() > until: raise
        errand.still_mine()
    path.unlink(missing_ok=True)


def give(call: Call, image_id: str, path: Path) -> None:
    """Uploads the file. An image that has its bytes (the answer was lost) is left alone; an upload that broke off is
    waited for until the image service has given it up. Raises Unavailable meanwhile."""
    status = image.show(call, image_id)["status"]
    if status == "saving": raise Unavailable(reason=f"an earlier upload of image {image_id} has not been given up yet")
    if status != "active": image.upload(call, image_id, path)


def drop_copy(node: Node, errand: Errand) -> None:
    """Removes what there is of the copy."""
    _copy(node, errand).unlink(missing_ok=True)


def _copy(node: Node, errand: Errand) -> Path:
    return node.server_directory(errand.subject_id) / "image.qcow2"
