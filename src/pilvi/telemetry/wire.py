"""Prometheus's remote write, as bytes: Snappy's block format around a protobuf message; pure.

Source: Prometheus Remote-Write 1.0 specification; google/snappy, "format_description.txt"; protobuf, "Encoding".
"""
from __future__ import annotations

import struct
from collections.abc import Iterator

from pilvi.telemetry import errors

MOST_BYTES = 32 << 20
Series = tuple[dict[str, str], list[tuple[float, float]]]
"""(labels, [(instant, value)])"""


def unpacked(data: bytes) -> bytes:
    """The bytes in a Snappy block. Raises Malformed."""
    try: return _unpacked(data)
    except IndexError: raise errors.Malformed(reason="The body ends too early.") from None


def _unpacked(data: bytes) -> bytes:
    size, at = _varint(data, 0)
    if size > MOST_BYTES: raise errors.Malformed(reason=f"The body is longer than {MOST_BYTES} bytes.")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, back, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], at + 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, back, at = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little"), at + width
        _copy(out, back, length)
        if len(out) > size: break
    if len(out) != size: raise errors.Malformed(reason="The body is not as long as it says.")
    return bytes(out)


def _copy(out: bytearray, back: int, length: int) -> None:
    if not 0 < back <= len(out): raise errors.Malformed(reason="The body refers to what is not there.")
    begin = len(out) - back
    if back >= length: out += out[begin:begin + length]
    else: out += (bytes(out[begin:]) * (length // back + 1))[:length]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128: return value, at
        shift += 7
        if shift > 63: raise errors.Malformed(reason="A number in the body is too long.")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a message's fields: integers, and bytes of all others."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if kind == 2: length, at = _varint(data, at)
        elif kind in (1, 5): length = 8 if kind == 1 else 4
        else: raise errors.Malformed(reason="The body is no remote write.")
        if at + length > len(data): raise errors.Malformed(reason="The body ends too early.")
        yield key >> 3, data[at:at + length]
        at += length


def series(data: bytes) -> list[Series]:
    """The series of a WriteRequest. Raises Malformed."""
    try: return [_series(value) for number, value in _fields(data) if number == 1 and isinstance(value, bytes)]
    except (IndexError, struct.error, UnicodeDecodeError): raise errors.Malformed(reason="The body is no remote write.") from None


def _series(data: bytes) -> Series:
    labels: dict[str, str] = {}
    samples: list[tuple[float, float]] = []
    for number, value in _fields(data):
        if not isinstance(value, bytes): continue
        parts = dict(_fields(value))
        if number == 1:
            name, text = parts.get(1, b""), parts.get(2, b"")
            if isinstance(name, bytes) and isinstance(text, bytes): labels[name.decode()] = text.decode()
        elif number == 2:
            raw, stamp = parts.get(1, bytes(8)), parts.get(2, 0)
            if isinstance(raw, bytes) and isinstance(stamp, int): samples.append((stamp / 1000, struct.unpack("<d", raw)[0]))
    return labels, samples
