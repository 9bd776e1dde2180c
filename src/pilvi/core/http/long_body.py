"""A long request body, read past the parser: bytes go from the socket into one buffer and from there, once copied, to the application.

The parser hands a body on in the pieces the loop happens to read, each of which is copied three times. A body whose length is known needs
no parser: of 64 MiB that halves the CPU time of receiving.
"""
from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilvi.core.http.protocol import BoundedHttp

LONG_BYTES = 256 << 10
"""From here it is worth it."""
PIECE_BYTES = 1 << 20
_OWN = threading.local()


def _buffer() -> memoryview:
    """The thread's: a loop fills it and takes the bytes out in one breath, so connections share it and slow ones hold none."""
    if not hasattr(_OWN, "buffer"): _OWN.buffer = memoryview(bytearray(PIECE_BYTES))
    found: memoryview = _OWN.buffer
    return found


class LongBody(asyncio.BufferedProtocol):
    """The rest of a body, `left` bytes of it; then the connection is its owner's again. Not a byte more is read."""

    def __init__(self, owner: BoundedHttp, left: int) -> None:
        self._owner, self._cycle, self._left = owner, owner.cycle, left

    def get_buffer(self, sizehint: int) -> memoryview:
        return _buffer()[:self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        cycle = self._cycle
        if not cycle.response_complete:  # else nobody wants it any more
            piece = bytes(_buffer()[:nbytes])
            # The cycle gives `bytes` on as they are.
            cycle.body = bytes(cycle.body) + piece if cycle.body else piece  # type: ignore[assignment]
            if not self._left: cycle.more_body = False
            elif len(cycle.body) >= PIECE_BYTES // 2: self._owner.flow.pause_reading()
            cycle.message_event.set()
        if not self._left: self._owner.body_ended()

    def eof_received(self) -> None:
        """The connection is closed: nothing can follow half a body."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()
