"""Images on this host: fetched once, checked, kept as the read-only base of root disks.

The bytes come over the image API and are trusted only after their hash fits and, whatever the image service found, this host's own look at
a qcow2 header saw no other file named in it. Files are named by that hash, written beside and renamed.
"""
from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import Any

from pilvi.core import disk_image, trace
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.errors import Failure, Unavailable
from pilvi.image import client as image

PIECE = 1 << 20
KEEP_FREE_BYTES = 2 << 30


class ImageDamaged(Failure):
    """Image {id} arrived damaged: its {algorithm} is not what the image service says."""
    status = 409


class DiskFull(Failure):
    """The disk of this host has less than 2 GiB free; image {id} was not fetched."""
    status = 413


class Images:
    """The folder of base images."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.locks: dict[str, threading.Lock] = {}
        self.mutex = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(".*.part"): left.unlink()

    def path(self, facts: dict[str, Any]) -> Path:
        """Where an image lies (or would)."""
        return self.directory / f"{(facts.get('os_hash_value') or facts['id'])[:64]}.{facts['disk_format']}"

    def fetch(self, call: Call, facts: dict[str, Any]) -> Path:
        """The image's file; fetched if it is not here. Raises ImageDamaged, ImageRefused, DiskFull, Unavailable."""
        path = self.path(facts)
        with self.mutex: lock = self.locks.setdefault(path.name, threading.Lock())
        with lock:
            if path.exists():
                trace.mark("boot.22.bytes", "image API", "compute agent", "cached", bytes=path.stat().st_size)
                return path
            if shutil.disk_usage(self.directory).free - (facts.get("size") or 0) < KEEP_FREE_BYTES: raise DiskFull(id=facts["id"])
            part = self.directory / f".{path.name}.{new_id()}.part"
            try:
                with trace.step("boot.22.bytes", "image API", "compute agent", "http", bytes=facts.get("size")):
                    self._copy(call, facts, part)
                if facts["disk_format"] == "qcow2": disk_image.virtual_size(part, "qcow2")
                part.chmod(0o444)
                part.rename(path)
            finally:
                part.unlink(missing_ok=True)
        return path

    def _copy(self, call: Call, facts: dict[str, Any], part: Path) -> None:
        algorithm = facts.get("os_hash_algo") or "sha512"
        digest, size = hashlib.new(algorithm), 0
        try:
            with image.download(call, facts["id"]) as (_, read), part.open("wb") as file:
                while piece := read(PIECE):
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
        except OSError as failure:
            raise DiskFull(f"Image {facts['id']} could not be written: {failure}") from failure
        if facts.get("size") is not None and size < facts["size"]: raise Unavailable(reason="the image broke off")
        if facts.get("os_hash_value") and digest.hexdigest() != facts["os_hash_value"]:
            raise ImageDamaged(id=facts["id"], algorithm=algorithm)
