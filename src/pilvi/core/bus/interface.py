"""What every bus offers: calls with an answer, hints without one, and words to all; the failures a caller can meet.

Calls are delivered at least once: after a broken connection they are sent again with the same id, and a process that has answered that id
gives the stored answer again; what failed is run again. A process that was restarted meanwhile has forgotten it, so handlers must be
repeatable.
"""
from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from pilvi.core.errors import Failure, TooLarge, Unavailable

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Message(Struct, frozen=True):
    """What a handler may know about the message beside its arguments."""
    id: str
    sender: str
    transport: str
    target: str
    method: str
    headers: dict[str, Any]
    queued_at: float
    """When the sender queued it, by the sender's clock."""
    expires_at: float | None
    """On this process's monotonic clock; None: nobody waits for an answer."""

    @property
    def seconds_left(self) -> float | None:
        """How long the caller still waits; None when nobody does."""
        return None if self.expires_at is None else self.expires_at - time.monotonic()


Handler = Callable[[dict[str, Any], Message], dict[str, Any] | None]


class Load(Struct, frozen=True):
    """How busy the handlers of one target are in this process."""
    threads: int
    unfinished: int
    """Messages running or waiting for a thread."""


class BusTimeout(Unavailable):
    """{target} did not answer '{method}' within {seconds:g} seconds."""


class PeerLost(BusTimeout):
    """The process serving {target} went away before it answered '{method}'."""


class NobodyListens(Unavailable):
    """Nobody serves {target}."""


class PeerBusy(Unavailable):
    """{target} has too much to do."""


class MessageTooLarge(TooLarge):
    """The message '{method}' for {target} has {size} bytes; at most {limit} are carried."""


class RemoteFailure(Failure):
    """A handler refused or failed: `kind` is the class name of its Failure, or Internal when it broke (its own log then has the reason)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Bus(Protocol):
    """Carries messages between processes. All methods may be called from any thread, none from an event loop."""

    name: str
    """What receivers see as the sender."""
    transport: str
    """memory, unix_socket or nats: how the messages travel, for traces."""

    def start(self) -> None:
        """Begin to connect; returns at once. Calls made before there is a connection wait for it within their deadline."""

    def close(self, drain_seconds: float = 5.0) -> None:
        """Take no more messages, let running handlers end within the limit, let go of everything."""

    def call(self, target: str, method: str, args: dict[str, Any], *, deadline_seconds: float, headers: dict[str, Any] | None = None,
             call_id: str | None = None) -> dict[str, Any]:
        """Ask one of those who serve the target. A given `call_id` makes it a repetition of an earlier call.
        Raises BusTimeout (PeerLost), NobodyListens, PeerBusy, MessageTooLarge, RemoteFailure."""

    def cast(self, target: str, method: str, args: dict[str, Any], *, headers: dict[str, Any] | None = None) -> None:
        """Give one of those who serve the target a hint. It may be lost. Raises MessageTooLarge only."""

    def fanout(self, topic: str, method: str, args: dict[str, Any], *, headers: dict[str, Any] | None = None) -> None:
        """Tell everyone who subscribed to the topic, this process too. It may be lost. Raises MessageTooLarge only."""

    def serve(self, target: str, handlers: Mapping[str, Handler], *, threads: int = 4) -> None:
        """Answer calls and casts for the target in at most that many threads. Several who serve one target share its messages."""

    def subscribe(self, topic: str, handlers: Mapping[str, Handler]) -> None:
        """Hear what is told to the topic, one message after the other."""

    def on_connect(self, function: Callable[[], None]) -> None:
        """Calls the function after each (re)connection, since what was told meanwhile is lost; it must return at once."""

    def serves(self) -> dict[str, Load]:
        """How busy the targets are that this process serves."""

    def health(self) -> str | None:
        """None when well, else a sentence."""


def checked_name(name: str) -> str:
    """The target or topic, if it is words joined by dots (all backends can carry that). Raises ValueError."""
    if not NAME.fullmatch(name): raise ValueError(f"{name!r} is not a name for the bus: words of letters, digits, - and _, joined by dots")
    return name
