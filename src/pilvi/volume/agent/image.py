"""Fetches an image for a volume: over the image API with the agent's token and the task's grant, checked by its hash and by its header."""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilvi.core import disk_image
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.errors import Unavailable
from pilvi.image import client as image
from pilvi.volume import errors

PIECE = 2**20
MIB, GIB = 2**20, 2**30
FORMS = {"raw": "raw", "iso": "raw", "qcow2": "qcow2"}


@contextmanager
def fetched(call: Call, image_id: str, size_gib: int, workspace: Path, free_mib: int) -> Iterator[tuple[Path, str]]:
    """(the image's file, its format for QEMU), as long as it is needed. Raises ImageDamaged, ImageRefused, DiskFull, Unavailable."""
    facts = image.show(call, image_id)
    size = int(facts.get("size") or 0)
    if size // MIB > free_mib: raise errors.DiskFull(free_mib=free_mib, reserve_mib=size // MIB)
    path = workspace / f"{image_id}-{new_id()[:8]}"
    try:
        _copy(call, facts, path)
        virtual = disk_image.virtual_size(path, facts["disk_format"])
        if virtual > size_gib * GIB: raise errors.ImageDamaged(id=image_id, reason=f"its {virtual} bytes do not fit on {size_gib} GiB")
        yield path, FORMS[facts["disk_format"]]
    finally:
        path.unlink(missing_ok=True)


def give(call: Call, image_id: str, path: Path) -> None:
    """Uploads the file as the image's bytes; an image that has them already (the answer was lost) is left alone."""
    if image.show(call, image_id)["status"] != "active": image.upload(call, image_id, path)


def _copy(call: Call, facts: dict[str, Any], path: Path) -> None:
    algorithm = facts.get("os_hash_algo") or "sha512"
    digest, size, expected = hashlib.new(algorithm), 0, facts.get("size")
    with image.download(call, facts["id"]) as (_, read), path.open("xb") as file:
        while piece := read(PIECE):
            digest.update(piece)
            size += len(piece)
            if expected is not None and size > expected: raise errors.ImageDamaged(id=facts["id"], reason="it is longer than it should be")
            file.write(piece)
    if expected is not None and size < expected: raise Unavailable(reason=f"image {facts['id']} broke off after {size} bytes")
    if facts.get("os_hash_value") and digest.hexdigest() != facts["os_hash_value"]:
        raise errors.ImageDamaged(id=facts["id"], reason=f"its {algorithm} differs")
