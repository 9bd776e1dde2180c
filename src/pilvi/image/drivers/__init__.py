"""Where the bytes of images lie."""
from __future__ import annotations

from pilvi.image.drivers.file import FileStore
from pilvi.image.drivers.interface import Store

STORES: dict[str, type[Store]] = {"file": FileStore}
