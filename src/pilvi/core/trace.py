"""Spans: what happened, between whom, over what, how long, linked over processes.

A `Trace` collects the spans of one story (a server's boot, attempt n). It is active for the current context; `step()` adds to the active
one and does nothing when none is (or when the story has no name for the act). Over HTTP and the bus the story travels as a small header;
spans made by a callee come back with its reply (header X-Pilvi-Spans), so the caller's trace is whole and no service reads another's
records.
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec import Struct

from pilvi.core import clock

HEADER = "x-pilvi-trace"
SPANS_HEADER = "x-pilvi-spans"
BEFORE: list[Callable[[str], None]] = []
"""Called with the name of each act before it begins; how the tests of crashes find their moment."""
ACTIVE: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Span(Struct, kw_only=True):
    """One message or act. `started` is an instant, `seconds` a duration; `carried` is what went over, without secrets."""
    name: str
    actor: str
    peer: str
    transport: str
    started: float
    seconds: float = 0.0
    carried: dict[str, Any] = {}


class Trace:
    """The spans of one story, in the order they began."""

    def __init__(self, subject: str = "", attempt: int = 0, steps: dict[str, str] | None = None) -> None:
        self.subject, self.attempt, self.spans = subject, attempt, list[Span]()
        self.steps = steps or {}
        """Names for acts that this story expects of others: {"validate.ask": "boot.04", …}."""

    def header(self, **steps: str) -> str:
        """What a callee must know: whose story, which attempt, and what its acts are called in it."""
        return msgspec.json.encode([self.subject, self.attempt, steps or self.steps]).decode()

    def take(self, encoded: str | None) -> None:
        """Adds the spans that came back with a reply."""
        if encoded: self.spans.extend(msgspec.msgpack.decode(base64.b64decode(encoded), type=list[Span]))


def from_header(text: str | None) -> Trace | None:
    """The story a request belongs to; None when there is none or the header is damaged."""
    if not text: return None
    try:
        subject, attempt, steps = msgspec.json.decode(text, type=tuple[str, int, dict[str, str]])
    except msgspec.DecodeError:
        return None
    return Trace(subject, attempt, steps)


def encode(spans: list[Span]) -> str:
    """Spans as the value of a header."""
    return base64.b64encode(msgspec.msgpack.encode(spans)).decode()


@contextmanager
def active(trace: Trace | None) -> Iterator[Trace | None]:
    """Within, `step` adds to this trace."""
    token = ACTIVE.set(trace)
    try: yield trace
    finally: ACTIVE.reset(token)


@contextmanager
def step(name: str | None, actor: str, peer: str, transport: str, **carried: Any) -> Iterator[dict[str, Any]]:
    """Records an act of the active story; what is put into the yielded dict is recorded as carried."""
    trace = ACTIVE.get()
    if trace is None or name is None:
        yield {}
        return
    for function in BEFORE: function(name)
    span = Span(name=name, actor=actor, peer=peer, transport=transport, started=clock.now(), carried=carried)
    trace.spans.append(span)
    begun = clock.monotonic()
    try:
        yield carried
    except BaseException as failure:
        carried["failed"] = f"{type(failure).__name__}: {failure}"[:300]
        raise
    finally:
        span.seconds = clock.monotonic() - begun


def mark(name: str | None, actor: str, peer: str, transport: str, **carried: Any) -> None:
    """Records an act that takes no time of its own (an arrival)."""
    with step(name, actor, peer, transport, **carried): pass
