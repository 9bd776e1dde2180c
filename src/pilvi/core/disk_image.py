"""Looks at a disk image that a user gave before any program opens it: is it what it is said to be, and does it name files of the host?

A qcow2 header can name a backing file or an external data file, and QEMU would open them: so a user could read any file that QEMU may read.
The format is the one the image's owner declared; a raw disk is never looked into, since a guest can write anything to it.
Source: QEMU, docs/interop/qcow2.txt.
"""
from __future__ import annotations

import struct
from pathlib import Path

from pilvi.core.errors import Invalid

MAGIC = b"QFI\xfb"
HEADER = struct.Struct(">4sIQIIQI")
"""magic, version, backing file's offset and length, cluster bits, virtual size, encryption"""
INCOMPATIBLE_AT, EXTENSIONS_V2_AT = 72, 72
DIRTY, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = 1, 4, 8, 16
END, BACKING_FORMAT, DATA_FILE = 0, 0xE2792ACA, 0x44415441
MOST_EXTENSIONS = 64


class ImageRefused(Invalid):
    """The disk image is refused: {reason}"""


def virtual_size(path: Path, form: str) -> int:
    """The size in bytes that a guest would see. Raises ImageRefused for an image that is not harmless and whole."""
    if form in ("raw", "iso"): return path.stat().st_size
    if form == "qcow2": return _qcow2(path)
    raise ImageRefused(reason=f"the format {form} is not supported; raw and qcow2 are")


def empty_qcow2(size_gib: int) -> bytes:
    """A qcow2 file of a disk on which nothing has been written: a header, a table of reference counts, an empty table of clusters."""
    cluster, tables = 1 << 16, -(-size_gib // 4096)
    clusters = 3 + tables  # each of them covers 4 TiB
    head = HEADER.pack(MAGIC, 2, 0, 0, 16, size_gib << 30, 0) + struct.pack(">IQQIIQ", size_gib * 2, 3 * cluster, cluster, 1, 0, 0)
    counts = struct.pack(">H", 1) * clusters
    return b"".join(part.ljust(cluster, b"\0") for part in (head, struct.pack(">Q", 2 * cluster), counts)) + bytes(tables * cluster)


def _qcow2(path: Path) -> int:
    with path.open("rb") as file: head = file.read(65_536)
    if len(head) < INCOMPATIBLE_AT or head[:4] != MAGIC: raise ImageRefused(reason="it is not a qcow2 file")
    _, version, backing, _, cluster_bits, size, encryption = HEADER.unpack_from(head)
    if version not in (2, 3): raise ImageRefused(reason=f"qcow2 version {version} is unknown")
    if backing: raise ImageRefused(reason="it needs a backing file")
    if encryption: raise ImageRefused(reason="it is encrypted")
    if not 9 <= cluster_bits <= 21: raise ImageRefused(reason="its cluster size is not allowed")
    at = EXTENSIONS_V2_AT
    if version == 3:
        if len(head) < 104: raise ImageRefused(reason="its header is cut off")
        incompatible, = struct.unpack_from(">Q", head, INCOMPATIBLE_AT)
        if incompatible & EXTERNAL_DATA: raise ImageRefused(reason="it keeps its data in another file")
        if incompatible & ~(DIRTY | COMPRESSION | EXTENDED_L2): raise ImageRefused(reason="it uses features that are unknown here")
        at, = struct.unpack_from(">I", head, 100)
    _check_extensions(head, at)
    return int(size)


def _check_extensions(head: bytes, at: int) -> None:
    for _ in range(MOST_EXTENSIONS):
        if at + 8 > len(head): raise ImageRefused(reason="its header extensions are cut off")
        kind, length = struct.unpack_from(">II", head, at)
        if kind == END: return
        if kind == DATA_FILE: raise ImageRefused(reason="it keeps its data in another file")
        if kind == BACKING_FORMAT and length: raise ImageRefused(reason="it needs a backing file")
        at += 8 + (length + 7) // 8 * 8
    raise ImageRefused(reason="it has too many header extensions")
