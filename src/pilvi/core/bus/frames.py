"""What travels over the wire: three kinds of msgpack arrays.

Arguments and results stay packed within them, so that whoever only routes does not unpack them.
"""
from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

CALL, CAST, FANOUT = "call", "cast", "fanout"
DONE, FAILED = "done", "failed"
NOBODY, BUSY, EXPIRED, LOST = "nobody", "busy", "expired", "lost"
"""Outcomes of a call that no handler has seen to its end; a repetition may fare better."""


class Request(Struct, array_like=True, tag=1):
    verb: str
    id: str
    target: str
    """The topic of a fanout."""
    method: str
    sender: str
    seconds_left: float
    """At the moment of sending, and counted from the arrival: the clocks of two hosts need not agree."""
    queued_at: float
    headers: dict[str, Any]
    args: Raw


class Reply(Struct, array_like=True, tag=2):
    id: str
    outcome: str
    kind: str = ""
    message: str = ""
    result: Raw = Raw(b"\x80")


class Announcement(Struct, array_like=True, tag=3):
    """What a client of the hub serves from now on, in place of what it announced before."""
    name: str
    targets: list[str]
    topics: list[str]


Frame = Request | Reply | Announcement

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Frame).decode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
decode_dict = msgspec.msgpack.Decoder(dict[str, Any]).decode
