"""Erasure coding of one object's body: segments of 1 MiB, each cut into k data and m parity fragments, any k of which give it back.

Source: liberasurecode by PyECLib, Reed-Solomon over Vandermonde matrices (ISA-L's). A fragment of a body is the sequence of its segments'
fragments, so a range of the body needs only the segments it touches.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pyeclib.ec_iface import ECDriver, ECDriverError

from pilvi.objectstore.policies import Policy

SEGMENT_BYTES = 1 << 20


class Undecodable(Exception):
    """These fragments do not give the segment back."""


class Codec:
    """For a number of data and parity fragments."""

    def __init__(self, data: int, parity: int) -> None:
        self.data, self.parity, self.count = data, parity, data + parity
        self._driver = ECDriver(k=data, m=parity, ec_type="isa_l_rs_vand")

    def encode(self, segment: bytes) -> list[bytes]:
        """A segment's fragments."""
        return list(self._driver.encode(segment))

    def decode(self, fragments: Sequence[bytes]) -> bytes:
        """The segment, of any k fragments. Raises Undecodable."""
        try: return bytes(self._driver.decode(list(fragments)))
        except ECDriverError as failure: raise Undecodable(str(failure)) from failure

    def rebuild(self, fragments: Sequence[bytes], index: int) -> bytes:
        """Another fragment, of any k. Raises Undecodable."""
        try: return bytes(self._driver.reconstruct(list(fragments), [index])[0])
        except ECDriverError as failure: raise Undecodable(str(failure)) from failure

    def fragment_bytes(self, segment_bytes: int) -> int:
        """How long the fragments of a segment are."""
        return int(self._driver.get_segment_info(segment_bytes, segment_bytes)["fragment_size"]) if segment_bytes else 0

    def stored_bytes(self, size: int) -> int:
        """How long the fragments of a body are."""
        full, rest = divmod(size, SEGMENT_BYTES)
        return full * self.fragment_bytes(SEGMENT_BYTES) + self.fragment_bytes(rest)

    def span(self, number: int, size: int) -> tuple[int, int]:
        """Where in a body's fragment a segment's lies: (start, stop)."""
        start = number * self.fragment_bytes(SEGMENT_BYTES)
        return start, start + self.fragment_bytes(min(SEGMENT_BYTES, size - number * SEGMENT_BYTES))


@lru_cache(16)
def codec_of(policy: Policy) -> Codec:
    """A policy's."""
    return Codec(policy.data_fragments, policy.parity_fragments)


def fragment_name(hashed: str, index: int) -> str:
    """The file of a fragment."""
    return f"{hashed}-{index}"


STAGED = ".new"
"""Suffix of a fragment's file that is not yet what users see."""
