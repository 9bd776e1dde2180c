"""Options of image."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    store: str = "file"
    """The driver that keeps the bytes."""
    least_free_mib: int = 2048
    """Uploads are refused while the store has less room than this, in MiB; deletes still work."""
    lease_seconds: int = 120
    """An upload that shows no life for so long, in seconds, is over, and the image is queued again."""
