"""Shared libraries of ELF files, on files made for the purpose and on this Python."""
from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from pilvi.image.guest.elf import needed_libraries


def program(libraries: list[str]) -> bytes:
    """A file with one loaded segment, at an address that is not its place in the file, and one dynamic segment."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    headers_end = 64 + 2 * 56
    address = 0x400000
    dynamic_at = headers_end + len(strings)
    offsets = [strings.index(name.encode() + b"\0") for name in libraries]
    dynamic = b"".join(struct.pack("<QQ", 1, offset) for offset in offsets) + struct.pack("<QQQQ", 5, address + headers_end, 0, 0)
    size = dynamic_at + len(dynamic)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    loaded = struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 4096)
    dynamic_segment = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, address + dynamic_at, 0, len(dynamic), len(dynamic), 8)
    return head + loaded + dynamic_segment + strings + dynamic


def test_needed_libraries_in_order() -> None:
    assert needed_libraries(program(["libz.so.1", "libc.so.6"])) == ["libz.so.1", "libc.so.6"]
    assert needed_libraries(program([])) == []


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(80)])
def test_what_is_no_64_bit_program_needs_nothing(data: bytes) -> None:
    assert needed_libraries(data) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs an ELF Python")
def test_a_real_program() -> None:
    assert any(name.startswith(("libc.so", "libm.so")) for name in needed_libraries(Path(sys.executable).resolve().read_bytes()))
