"""Reads from an ELF file which shared libraries it needs.

Source: the System V ABI, "Dynamic Section" (64-bit, little endian: what amd64 has).
"""
from __future__ import annotations

import struct

DYNAMIC_SEGMENT, LOADED_SEGMENT = 2, 1
TAG_NEEDED, TAG_STRING_TABLE = 1, 5


def needed_libraries(data: bytes) -> list[str]:
    """The names of the libraries (`libc.so.6`) in the file's own order; none for a static program or something that is not ELF."""
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    segments = _segments(data)
    dynamic = next(((offset, size) for kind, offset, _, size in segments if kind == DYNAMIC_SEGMENT), None)
    if dynamic is None:
        return []
    entries = list(struct.iter_unpack("<QQ", data[dynamic[0]:dynamic[0] + dynamic[1]]))
    strings = next((value for tag, value in entries if tag == TAG_STRING_TABLE), 0)
    # the table is given by its address in memory; the segment that is loaded there says where that is in the file
    start = next(strings - address + offset for kind, offset, address, size in segments
                 if kind == LOADED_SEGMENT and address <= strings < address + size)
    return [_string(data, start + value) for tag, value in entries if tag == TAG_NEEDED]


def _segments(data: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, offset in the file, address, size in the file) of each program header."""
    table, = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    segments = []
    for number in range(count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, table + number * entry_size)
        segments.append((kind, offset, address, size))
    return segments


def _string(data: bytes, start: int) -> str:
    return data[start:data.index(b"\0", start)].decode()
