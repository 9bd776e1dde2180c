"""The server's HTTP protocol with bounds of its own: a request's head has to be short and has to come soon. Long bodies take a short way.

uvicorn waits for ever for a head that comes byte by byte, and keeps however many headers a client sends.
"""
from __future__ import annotations

import asyncio
import re
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pilvi.core.http.long_body import LONG_BYTES, LongBody

HEAD_BYTES = 65_536
"""Of the request line and all headers together; those of one of Swift's objects are 4 KiB of metadata and some more."""
HEAD_SECONDS = 30.0
LOUD = re.compile(rb"[\x80-\xff]")


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.in_head, self.head_bytes, self.body_left = True, 0, 0
        self.head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES and b"\r\n\r\n" not in data:
                self.send_400_response("The request's headers are too long.")
                return
            if self.head_bytes == len(data) and not data.isascii(): data = _percent_encoded(data)
        super().data_received(data)
        if self.body_left >= LONG_BYTES and not self.pipeline and not self.transport.is_closing():
            self.transport.set_protocol(LongBody(self, self.body_left))

    def body_ended(self) -> None:
        """A long body has been read past the parser, which therefore begins anew."""
        self.in_head, self.body_left = True, 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.transport.set_protocol(self)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.in_head = True
        if self.head_timer is None: self._wait_for_head()

    def on_headers_complete(self) -> None:
        self.in_head, self.head_bytes = False, 0
        self._stop_waiting()
        super().on_headers_complete()
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self.body_left = int(length) if length.isdigit() and not self.parser.should_upgrade() else 0

    def on_body(self, body: bytes) -> None:
        self.body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.in_head = True
        super().on_message_complete()

    def _wait_for_head(self) -> None:
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self.head_timer is not None: self.head_timer.cancel()
        self.head_timer = None

    def _give_up(self) -> None:
        self.head_timer = None
        if self.in_head and not self.transport.is_closing(): self.transport.close()


def _percent_encoded(data: bytes) -> bytes:
    """Raw bytes above 127 in a request line, which the parser refuses, as clients should have written them; the rest as it is."""
    line, end, rest = data.partition(b"\r\n")
    return LOUD.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest
