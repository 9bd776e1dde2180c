"""A ring in a file: a magic word, msgpack, checksum; compressed. It holds all that the next rebalance needs."""
from __future__ import annotations

import os
import zlib
from array import array
from pathlib import Path
from typing import Any

import msgspec

from pilvi.objectstore.ring.lookup import Device, Ring

MAGIC = b"PILVIRING1"


class RingBroken(Exception):
    """The file is not a ring, or was damaged."""


def encode(ring: Ring) -> bytes:
    """The file's bytes."""
    body = msgspec.msgpack.encode([ring.version, ring.power, ring.replicas, ring.devices, [_little(row) for row in ring.table],
                                   _little(ring.moved_at), ring.overload, ring.min_part_hours])
    packed = zlib.compress(body, 6)
    return MAGIC + zlib.crc32(packed).to_bytes(4, "little") + packed


def _little(row: array[int]) -> bytes:
    return row.tobytes()


def decode(data: bytes) -> Ring:
    """The reverse. Raises RingBroken."""
    head, check, packed = data[:len(MAGIC)], data[len(MAGIC):len(MAGIC) + 4], data[len(MAGIC) + 4:]
    if head != MAGIC or zlib.crc32(packed).to_bytes(4, "little") != check: raise RingBroken("not a ring file, or damaged")
    version, power, replicas, devices, rows, moved_at, overload, min_part_hours = msgspec.msgpack.decode(zlib.decompress(packed))
    return Ring(version, power, replicas, tuple(msgspec.convert(one, Device | None) for one in devices),
                tuple(_array("H", row) for row in rows), _array("I", moved_at), overload, min_part_hours)


def _array(kind: Any, data: bytes) -> array[int]:
    made: array[int] = array(kind)
    made.frombytes(data)
    return made


def load(path: Path) -> Ring:
    """Raises RingBroken, FileNotFoundError."""
    return decode(path.read_bytes())


def save(ring: Ring, path: Path) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(encode(ring))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
