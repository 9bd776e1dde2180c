"""Is the content what it is said to be, and does it name files of whatever machine opens it? Looks at headers only, never runs a tool.

A qcow2 or VMDK header can name other files, which the program that opens the image would open too: with that a user reads what the service
may read. So images that refer to others are refused, and so is content of one format that is declared as another.
Source: QEMU docs/interop/qcow2.txt; VMware "Virtual Disk Format 5.0"; Microsoft "Virtual Hard Disk Image Format"; VirtualBox VDI; ECMA-119.
"""
from __future__ import annotations

import re
import struct
from collections.abc import Callable

from pilvi.image.errors import ContentRefused

Read = Callable[[int, int], bytes]
"""(offset, length) → bytes, fewer at the end"""
KIB, SECTOR = 1024, 512
MOST_BYTES = 1 << 60
"""No disk is larger than an exbibyte; a header that says so lies."""
PLAIN_CONTAINERS = {"bare", "ami", "ari", "aki"}
"""In other containers the disk is wrapped and can't be looked at."""
UNINSPECTED = {"ami", "ari", "aki", "ploop"}
"""Formats without a header that could be told from raw bytes."""
DIRTY, CORRUPT, EXTERNAL, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
END, DATA_FILE_NAME = 0, 0x44415441
WHOLE_VMDK = {"monolithicSparse", "streamOptimized"}
EXTENT = re.compile(rb"^(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)(?:\s+\"([^\"]*)\")?", re.M)


def check(disk_format: str, container_format: str, read: Read, size: int) -> int | None:
    """The size a guest would see in bytes, None if that is not known. Raises ContentRefused."""
    if container_format not in PLAIN_CONTAINERS: return None

    def within(offset: int, length: int) -> bytes:  # a header may point anywhere; beyond 2^63 not even a file can be asked
        return read(offset, length) if offset < size else b""

    try: return _check(disk_format, within, size)
    except struct.error: raise ContentRefused(reason="its header is cut off") from None


def _check(disk_format: str, read: Read, size: int) -> int | None:
    found = detect(read, size)
    if disk_format == "raw" or disk_format in UNINSPECTED:
        if found is not None: raise ContentRefused(reason=f"it is declared as {disk_format} and looks like {found}")
        return size if disk_format == "raw" else None
    if found != disk_format:
        raise ContentRefused(reason=f"it is declared as {disk_format} and {f'looks like {found}' if found else 'is not'}")
    return CHECKS[disk_format](read, size)


def detect(read: Read, size: int) -> str | None:
    """The format whose mark the content bears; None if it bears none."""
    head = read(0, SECTOR)
    for mark, at, name in MARKS:
        if head[at:at + len(mark)] == mark: return name
    if re.match(rb"\s*#\s*Disk DescriptorFile", head, re.I): return "vmdk"
    if read(0x8001, 5) == b"CD001": return "iso"
    if size >= SECTOR and read(size - SECTOR, 8) == b"conectix": return "vhd"
    return None


MARKS = ((b"QFI\xfb", 0, "qcow2"), (b"KDMV", 0, "vmdk"), (b"COWD", 0, "vmdk"), (b"conectix", 0, "vhd"), (b"vhdxfile", 0, "vhdx"),
         (b"\x7f\x10\xda\xbe", 0x40, "vdi"), (b"QED\0", 0, "qed"))


def _qcow2(read: Read, size: int) -> int:
    head = read(0, 64 * KIB)
    version, backing, _, bits, virtual, crypt, l1_size, l1_at = struct.unpack_from(">IQIIQIIQ", head, 4)
    if version not in (2, 3): raise ContentRefused(reason=f"qcow2 version {version} is unknown")
    if backing: raise ContentRefused(reason="it names a backing file")
    if not 9 <= bits <= 21: raise ContentRefused(reason=f"its clusters of 2^{bits} bytes are not allowed")
    if crypt: raise ContentRefused(reason="it is encrypted")
    extensions_at = 72
    if version == 3:
        features, = struct.unpack_from(">Q", head, 72)
        extensions_at, = struct.unpack_from(">I", head, 100)
        if features & EXTERNAL: raise ContentRefused(reason="it keeps its data in another file")
        if features & CORRUPT: raise ContentRefused(reason="it is marked as corrupt")
        if features & ~(DIRTY | COMPRESSION | EXTENDED_L2): raise ContentRefused(reason="it needs features that are unknown here")
    _check_extensions(head, extensions_at)
    cluster = 1 << bits
    entry = 16 if version == 3 and struct.unpack_from(">Q", head, 72)[0] & EXTENDED_L2 else 8
    if not 0 < virtual <= MOST_BYTES: raise ContentRefused(reason=f"its size of {virtual} bytes is not possible")
    if l1_size < -(-virtual // (cluster * cluster // entry)) or l1_at % cluster or l1_at + 8 * l1_size > size:
        raise ContentRefused(reason="its tables lie outside the file or are too small; it may be cut off")
    return int(virtual)


def _check_extensions(head: bytes, at: int) -> None:
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == END: return
        if kind == DATA_FILE_NAME: raise ContentRefused(reason="it keeps its data in another file")
        at += 8 + -(-length // 8) * 8
    raise ContentRefused(reason="its header extensions do not end")


def _vmdk(read: Read, size: int) -> int:
    head = read(0, SECTOR)
    if head[:4] != b"KDMV": raise ContentRefused(reason="it only describes a disk whose data lies in other files")
    version, _, capacity, _, descriptor_at, descriptor_size = struct.unpack_from("<IIQQQQ", head, 4)
    if not 1 <= version <= 3: raise ContentRefused(reason=f"VMDK version {version} is unknown")
    if not descriptor_at or not 0 < descriptor_size <= 2048: raise ContentRefused(reason="it has no descriptor of its own")
    text = read(descriptor_at * SECTOR, descriptor_size * SECTOR).split(b"\0")[0]
    # Blanks before a word are those of its own line: \s* would go over all empty lines again from each of them.
    kind = re.search(rb'^[ \t]*createType\s*=\s*"([^"]*)"', text, re.M)
    if kind is None or kind[1].decode("latin-1") not in WHOLE_VMDK: raise ContentRefused(reason="it is not a VMDK of one file")
    extents = EXTENT.findall(text)
    if len(extents) != 1 or extents[0][0] != b"SPARSE" or b"/" in extents[0][1] or b"\\" in extents[0][1]:
        raise ContentRefused(reason="it names extents in other files")
    parent = re.search(rb"^[ \t]*parentCID\s*=\s*(\w+)", text, re.M)
    if (parent and parent[1].lower() != b"ffffffff") or b"parentFileNameHint" in text: raise ContentRefused(reason="it names a parent")
    if not 0 < capacity <= MOST_BYTES // SECTOR: raise ContentRefused(reason=f"its size of {capacity} sectors is not possible")
    return int(capacity * SECTOR)


def _vhd(read: Read, size: int) -> int:
    footer = read(0, SECTOR) if read(0, 8) == b"conectix" else read(size - SECTOR, SECTOR)
    virtual, = struct.unpack_from(">Q", footer, 48)
    kind, = struct.unpack_from(">I", footer, 60)
    if kind not in (2, 3): raise ContentRefused(reason="it is a difference to another disk")
    if not 0 < virtual <= MOST_BYTES or (kind == 2 and virtual > size):
        raise ContentRefused(reason=f"its size of {virtual} bytes is not possible")
    return int(virtual)


def _vdi(read: Read, size: int) -> int:
    head = read(0, SECTOR)
    kind, = struct.unpack_from("<I", head, 0x4C)
    virtual, = struct.unpack_from("<Q", head, 0x170)
    if kind not in (1, 2): raise ContentRefused(reason="it is a difference to another disk")
    if not 0 < virtual <= MOST_BYTES: raise ContentRefused(reason=f"its size of {virtual} bytes is not possible")
    return int(virtual)


def _iso(read: Read, size: int) -> int:
    head = read(0x8000, 2048)
    if len(head) < 132 or head[0] != 1: raise ContentRefused(reason="its first volume descriptor is not the primary one")
    blocks, = struct.unpack_from("<I", head, 80)
    block, = struct.unpack_from("<H", head, 128)
    return int(blocks * block)


def _vhdx(read: Read, size: int) -> int:
    """Its facts are in a metadata region: a table of ids and where each fact is."""
    at = _vhdx_region(read(192 * KIB, 64 * KIB), VHDX_METADATA)
    table = read(at, 64 * KIB)
    if table[:8] != b"metadata" or len(table) < 64 * KIB: raise ContentRefused(reason="its metadata is missing")
    entries = (struct.unpack_from("<16sI", table, 32 + 32 * index) for index in range(min(struct.unpack_from("<H", table, 10)[0], 2047)))
    facts = {id: read(at + offset, 8) for id, offset in entries if id in (VHDX_FILE_PARAMETERS, VHDX_SIZE)}
    if [len(fact) for fact in facts.values()] != [8, 8]: raise ContentRefused(reason="its metadata is not whole")
    if struct.unpack("<II", facts[VHDX_FILE_PARAMETERS])[1] & 2: raise ContentRefused(reason="it is a difference to another disk")
    virtual, = struct.unpack("<Q", facts[VHDX_SIZE])
    if not 0 < virtual <= MOST_BYTES: raise ContentRefused(reason=f"its size of {virtual} bytes is not possible")
    return int(virtual)


def _vhdx_region(regions: bytes, wanted: bytes) -> int:
    if regions[:4] != b"regi" or len(regions) < 64 * KIB: raise ContentRefused(reason="its region table is missing")
    for index in range(min(struct.unpack_from("<I", regions, 8)[0], 2047)):
        guid, offset = struct.unpack_from("<16sQ", regions, 16 + 32 * index)
        if guid == wanted: return int(offset)
    raise ContentRefused(reason="its metadata is missing")


VHDX_METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
VHDX_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
VHDX_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
CHECKS: dict[str, Callable[[Read, int], int | None]] = {
    "qcow2": _qcow2, "vmdk": _vmdk, "vhd": _vhd, "vhdx": _vhdx, "vdi": _vdi, "iso": _iso}
