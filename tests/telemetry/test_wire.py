"""Prometheus's remote write as bytes."""
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.core.errors import Invalid
from pilvi.telemetry import wire


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def part(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def request(*series: wire.Series) -> bytes:
    """A WriteRequest, written by hand."""
    made = b""
    for labels, samples in series:
        inner = b"".join(part(1, part(1, key.encode()) + part(2, value.encode())) for key, value in labels.items())
        inner += b"".join(part(2, varint(1 << 3 | 1) + struct.pack("<d", value) + varint(2 << 3) + varint(round(at * 1000))) for at,
                          value in samples)
        made += part(1, inner)
    return made


def packed(data: bytes) -> bytes:
    """A Snappy block of literals only."""
    made = varint(len(data))
    for first in range(0, len(data), 50): made += bytes([(len(data[first:first + 50]) - 1) << 2]) + data[first:first + 50]
    return made


def test_a_block_with_copies() -> None:
    # "abcd", then the last 4 again, then the last byte 11 times (a copy that overlaps itself), with a copy of each width
    block = varint(23) + b"\x0cabcd" + b"\x01\x04" + b"\x2a\x01\x00" + b"\x0f\x04\x00\x00\x00"
    assert wire.unpacked(block) == b"abcdabcd" + b"d" * 11 + b"dddd"
    assert wire.unpacked(varint(61) + b"\xf0\x3c" + b"x" * 61) == b"x" * 61


@pytest.mark.parametrize("data", [b"", varint(5) + b"\x00a", varint(3) + b"\x01\x09", varint(99) + b"\x08ab", b"\xff" * 20,
                                  varint(1 << 40) + b"\x00a"])
def test_a_block_that_is_none(data: bytes) -> None:
    with pytest.raises(Invalid): wire.unpacked(data)


LABELS = st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3)
SAMPLES = st.lists(st.tuples(st.integers(0, 2**40).map(lambda ms: ms / 1000), st.floats(allow_nan=False)), max_size=3)


@given(st.lists(st.tuples(LABELS, SAMPLES), max_size=4))
def test_series_come_out_as_they_went_in(series: list[wire.Series]) -> None:
    assert wire.series(wire.unpacked(packed(request(*series)))) == series


@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    for read in (wire.unpacked, wire.series):
        try: read(data)  # type: ignore[operator]
        except Invalid: pass
