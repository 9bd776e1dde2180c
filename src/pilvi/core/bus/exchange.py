"""The sending half of every bus, and what the backends have in common; a backend adds how a frame gets to the other side."""
from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

from pilvi.core.bus.frames import BUSY, CALL, CAST, DONE, EXPIRED, FANOUT, LOST, NOBODY, Reply, Request, decode_dict, encode
from pilvi.core.bus.interface import (
    MAX_MESSAGE_BYTES,
    BusTimeout,
    Handler,
    Load,
    MessageTooLarge,
    NobodyListens,
    PeerBusy,
    PeerLost,
    RemoteFailure,
    checked_name,
)
from pilvi.core.bus.workers import Workers

SETTLE_SECONDS = 2.0
"""After a (re)connection others may still be on their way back: only then does 'nobody listens' count. Above the longest back-off."""
ASK_AGAIN_SECONDS = 0.1

log = logging.getLogger("pilvi.bus")


class Exchange(ABC):
    """A bus without its wire: `Bus` is implemented here in terms of four acts of the backend."""

    transport: str

    def __init__(self, name: str) -> None:
        self.name = checked_name(name)
        self._workers = Workers(self.transport)
        self._prefix, self._count = secrets.token_hex(8), itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[str, list[_Wait]] = {}
        self._settled_at = 0.0
        self._told_of_connections: list[Callable[[], None]] = []
        self._closing = self._closed = False

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def _transmit(self, request: Request) -> None:
        """Sends if that is possible now; never raises and never blocks long. Unanswered calls are sent again on connection."""

    @abstractmethod
    def _announce(self) -> None:
        """Tells the other side that what this process serves has changed."""

    @abstractmethod
    def _disconnect(self, drain_seconds: float) -> None:
        """Stops messages from coming in, closes the workers, lets go of the wire."""

    @abstractmethod
    def health(self) -> str | None: ...

    def call(self, target: str, method: str, args: dict[str, Any], *, deadline_seconds: float, headers: dict[str, Any] | None = None,
             call_id: str | None = None) -> dict[str, Any]:
        request = self._request(CALL, target, method, args, headers, deadline_seconds, call_id)
        ends_at = time.monotonic() + deadline_seconds
        reply = self._answer(request, ends_at)
        while reply is not None and reply.outcome == NOBODY and time.monotonic() < self._settled_at:
            time.sleep(ASK_AGAIN_SECONDS)
            request.seconds_left = max(0.0, ends_at - time.monotonic())
            reply = self._answer(request, ends_at)
        if reply is None or reply.outcome == EXPIRED: raise BusTimeout(target=target, method=method, seconds=deadline_seconds)
        if reply.outcome == DONE: return decode_dict(reply.result)
        if reply.outcome == NOBODY: raise NobodyListens(target=target)
        if reply.outcome == LOST: raise PeerLost(target=target, method=method)
        if reply.outcome == BUSY: raise PeerBusy(target=target)
        raise RemoteFailure(reply.kind, reply.message)

    def cast(self, target: str, method: str, args: dict[str, Any], *, headers: dict[str, Any] | None = None) -> None:
        self._transmit(self._request(CAST, target, method, args, headers))

    def fanout(self, topic: str, method: str, args: dict[str, Any], *, headers: dict[str, Any] | None = None) -> None:
        self._transmit(self._request(FANOUT, topic, method, args, headers))

    def serve(self, target: str, handlers: Mapping[str, Handler], *, threads: int = 4) -> None:
        self._workers.serve(checked_name(target), handlers, threads)
        self._announce()

    def subscribe(self, topic: str, handlers: Mapping[str, Handler]) -> None:
        self._workers.subscribe(checked_name(topic), handlers)
        self._announce()

    def on_connect(self, function: Callable[[], None]) -> None:
        self._told_of_connections.append(function)

    def serves(self) -> dict[str, Load]:
        return self._workers.loads()

    def close(self, drain_seconds: float = 5.0) -> None:
        if self._closing: return
        self._closing = True
        self._disconnect(drain_seconds)  # handlers that are still running may call others meanwhile
        self._closed = True
        for request in self._unanswered(): self._resolve(Reply(request.id, LOST))

    def _request(self, verb: str, target: str, method: str, args: dict[str, Any], headers: dict[str, Any] | None,
                 seconds: float = 0.0, call_id: str | None = None) -> Request:
        packed, limit = encode(args), self._limit_bytes()
        if len(packed) > limit: raise MessageTooLarge(method=method, target=target, size=len(packed), limit=limit)
        request_id = checked_name(call_id) if call_id else f"{self._prefix}-{next(self._count)}"
        return Request(verb, request_id, checked_name(target), method, self.name, seconds, time.time(), headers or {}, Raw(packed))

    def _limit_bytes(self) -> int:
        return MAX_MESSAGE_BYTES

    def _answer(self, request: Request, ends_at: float) -> Reply | None:
        wait = _Wait(request, ends_at)
        with self._lock: self._waiting.setdefault(request.id, []).append(wait)
        if self._closed: self._resolve(Reply(request.id, LOST))
        else: self._transmit(request)
        wait.arrived.acquire(timeout=max(0.0, ends_at - time.monotonic()))
        if wait.reply is None:
            with self._lock:
                waits = self._waiting.get(request.id, [])
                if wait in waits: waits.remove(wait)
                if not waits: self._waiting.pop(request.id, None)
        return wait.reply

    def _resolve(self, reply: Reply) -> None:
        """Gives the answer to whoever waits for it here; one that came too late or twice is dropped."""
        with self._lock: waits = self._waiting.pop(reply.id, ())
        for wait in waits:
            wait.reply = reply
            wait.arrived.release()

    def _unanswered(self) -> list[Request]:
        """The calls in flight, with the time they have left now."""
        with self._lock: waits = [each[0] for each in self._waiting.values() if each]
        for wait in waits: wait.request.seconds_left = max(0.0, wait.ends_at - time.monotonic())
        return [wait.request for wait in waits]

    def _connected(self) -> None:
        """To be called on each (re)connection: sends again what is still unanswered."""
        self._settled_at = time.monotonic() + SETTLE_SECONDS
        unanswered = self._unanswered()
        if unanswered: log.info("%s: connected; %d calls are sent again", self.name, len(unanswered))
        for request in unanswered: self._transmit(request)
        for function in self._told_of_connections: function()


class _Wait:
    """A thread that waits for the answer to a call."""

    __slots__ = ("arrived", "ends_at", "reply", "request")

    def __init__(self, request: Request, ends_at: float) -> None:
        self.request, self.ends_at = request, ends_at
        self.reply: Reply | None = None
        self.arrived = threading.Lock()  # a bare lock: an Event costs three times as much
        self.arrived.acquire()
