"""Bytes on their way in: one attempt to give an image its bytes, from the moment the image says `saving` to the moment it is whole or as
before.

An attempt holds a lease in the image's row, which it renews while bytes arrive. The lease's value also tells attempts apart: whoever finds
another value there has been given up, and writes nothing any more.
"""
from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import update

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http.app import Application
from pilvi.image import errors
from pilvi.image.config import Config
from pilvi.image.image import inspect
from pilvi.image.image.states import IMAGE
from pilvi.image.resources.image import RESOURCE, Image, permit

MIB = 1 << 20
LOOK_AGAIN_BYTES = 64 * MIB
"""How often the store's room is looked at."""


class Intake:
    """One attempt. Its methods block and are called one after the other, from threads."""

    def __init__(self, application: Application, id: str, verb: str, lease: float, formats: tuple[str, str]) -> None:
        self.application, self.id, self.verb, self.lease, self.formats = application, id, verb, lease, formats
        self.name = f"{id}.{new_id()[:8]}"
        self.size, self.md5, self.sha512 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha512()
        self.renew_at = clock.monotonic() + options_of(application).lease_seconds / 4
        self.writer = store_of(application).begin(self.name)

    def take(self, piece: bytes) -> None:
        """Keeps and hashes the next bytes. Raises StorageFull, Overtaken."""
        if self.size // LOOK_AGAIN_BYTES != (self.size + len(piece)) // LOOK_AGAIN_BYTES: check_room(self.application, len(piece))
        self.writer.write(piece)
        self.md5.update(piece)
        self.sha512.update(piece)
        self.size += len(piece)
        if clock.monotonic() > self.renew_at: self._renew()

    def _renew(self) -> None:
        lease = clock.now() + options_of(self.application).lease_seconds
        with self.application.database.write() as db:
            changed: Any = db.execute(update(Image).where(*self._mine()).values(lease_until=lease))
        if changed.rowcount != 1: raise errors.Overtaken(id=self.id)
        self.lease, self.renew_at = lease, clock.monotonic() + options_of(self.application).lease_seconds / 4

    def _mine(self) -> tuple[Any, ...]:
        return Image.id == self.id, Image.busy == IMAGE.verbs[self.verb].busy, Image.lease_until == self.lease

    def finish(self) -> None:
        """The bytes are whole: looks at them, keeps them, and lets the image go on. Raises ContentRefused, StorageFull, Overtaken."""
        facts: dict[str, Any] = {"size": self.size, "checksum": self.md5.hexdigest(), "os_hash_algo": "sha512",
                                 "os_hash_value": self.sha512.hexdigest()}
        if self.verb == "upload": facts["virtual_size"] = inspect.check(*self.formats, self.writer.read_at, self.size)
        self.writer.commit()
        values = facts if self.verb == "upload" else {"staged": facts}
        try:
            with self.application.database.write() as db:
                mine = db.query(Image.id).where(*self._mine()).first() is not None
                done = mine and IMAGE.finish(db, Image, self.id, self.verb, location=self.name, lease_until=None, **values)
        except BaseException:
            store_of(self.application).remove(self.name)
            raise
        if not done:
            store_of(self.application).remove(self.name)
            raise errors.Overtaken(id=self.id)

    def give_up(self) -> None:
        """Forgets the bytes; the image is as before. Repeatable."""
        self.writer.abort()
        with self.application.database.write() as db:
            if db.query(Image.id).where(*self._mine()).first(): IMAGE.finish(db, Image, self.id, self.verb, failed=True, lease_until=None)


def begin(call: Call, id: str, verb: str) -> Intake:
    """Begins an attempt on behalf of the caller. Raises ImageNotFound, Forbidden, TypeUnsupported, FormatMissing, StorageFull,
    WrongState."""
    assert call.application is not None and call.request is not None
    kind = call.request.headers.get("content-type", "").split(";")[0].strip().lower()
    with call.application.database.write() as call.db:
        row: Image = RESOURCE.find(call, id)
        permit(call, "upload", row)
        if kind != "application/octet-stream": raise errors.TypeUnsupported(content_type=kind[:80])
        if row.disk_format is None or row.container_format is None: raise errors.FormatMissing()
        length = call.request.headers.get("content-length", "")
        check_room(call.application, int(length) if length.isdecimal() else 0)
        IMAGE.begin(call.db, Image, row.id, verb)
        lease = clock.now() + options_of(call.application).lease_seconds
        call.db.execute(update(Image).where(Image.id == row.id).values(lease_until=lease))
        formats = row.disk_format, row.container_format
    call.db = None
    return Intake(call.application, id, verb, lease, formats)


def store_of(application: Application) -> Any:
    """Where the bytes lie: a driver (drivers/interface.py)."""
    return application.state["image_store"]


def options_of(application: Application) -> Config:
    """The service's options."""
    assert isinstance(application.config, Config)
    return application.config


def check_room(application: Application, wanted: int) -> None:
    """Raises StorageFull where so many bytes more would leave too little room."""
    free = store_of(application).free_bytes()
    if free is not None and free - wanted < options_of(application).least_free_mib * MIB: raise errors.StorageFull()
