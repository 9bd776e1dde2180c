"""The format of an object's file: the bytes first (so that they can be sent straight from the file), then a trailer that describes them.

    DATA … | trailer (msgpack) | length of the trailer, 4 bytes | its CRC-32, 4 bytes | b"PILVIOB1"

Three kinds share it: data, a tombstone (no data), and the metadata of a later POST (no data, in a file of its own beside). A file's mtime
is its timestamp with the kind in the lowest digits, so a directory can be compared without opening its files; the trailer is the truth.
"""
from __future__ import annotations

import zlib
from enum import IntEnum

import msgspec
from msgspec import Struct

from pilvi.objectstore.timestamp import nanoseconds

MAGIC = b"PILVIOB1"
TAIL = 16
CHUNK_BYTES = 1 << 20


class Kind(IntEnum):
    """What a file is."""
    DATA = 0
    TOMBSTONE = 1
    POSTED = 2


class Broken(Exception):
    """The file was damaged or cut off."""


class Record(Struct, array_like=True):
    """A trailer. `etag` is the MD5 of the stored bytes and `shown_etag` what GET tells when that differs; `listed` overrides what the
    container is told. Of erasure-coded objects, `size` and `etag` are those of the whole body and `stored` the bytes in this file."""
    kind: int
    account: str
    container: str
    name: str
    timestamp: int
    size: int = 0
    etag: str = ""
    content_type: str | None = None
    metadata: dict[str, str] = {}
    sysmeta: dict[str, str] = {}
    shown_etag: str | None = None
    listed_etag: str | None = None
    listed_size: int | None = None
    listed_type: str | None = None
    content_type_timestamp: int = 0
    stored: int | None = None
    stored_etag: str | None = None
    fragment: int | None = None
    chunks: bytes = b""
    """CRC-32 of each CHUNK_BYTES of the data in this file: what is read is checked before it leaves."""

    @property
    def length(self) -> int:
        """Bytes of data in the file."""
        return self.size if self.stored is None else self.stored

    @property
    def checksum(self) -> str:
        """MD5 of those."""
        return self.etag if self.stored_etag is None else self.stored_etag


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """The trailer's bytes."""
    body = _ENCODER.encode(record)
    return body + len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + MAGIC


def trailer_length(tail: bytes) -> int:
    """How many bytes before the last TAIL ones the trailer takes. Raises Broken."""
    if len(tail) < TAIL or tail[-8:] != MAGIC: raise Broken("no trailer")
    return int.from_bytes(tail[-16:-12], "little")


def decode(ending: bytes) -> Record:
    """Reads the trailer at the end of some bytes. Raises Broken."""
    length = trailer_length(ending[-TAIL:])
    body = ending[-TAIL - length:-TAIL]
    if len(body) != length or zlib.crc32(body).to_bytes(4, "little") != ending[-12:-8]: raise Broken("the trailer is damaged")
    try: return _DECODER.decode(body)
    except msgspec.DecodeError as failure: raise Broken(str(failure)) from None


def mtime(timestamp: int, kind: Kind) -> int:
    """A file's mtime in nanoseconds."""
    return nanoseconds(timestamp) + kind


def of_mtime(value: int) -> tuple[int, Kind]:
    """(timestamp, kind) of a file's mtime."""
    return value // 10_000, Kind(value % 10_000 % 3)
