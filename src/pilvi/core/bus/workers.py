"""The receiving half of every bus: handlers in bounded pools of threads, and the answers already given, for calls that are repeated."""
from __future__ import annotations

import logging
import queue
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Raw

from pilvi.core.bus.frames import BUSY, CALL, CAST, DONE, EXPIRED, FAILED, LOST, NOBODY, Reply, Request, decode_dict, encode
from pilvi.core.bus.interface import MAX_MESSAGE_BYTES, Handler, Load, Message, MessageTooLarge, RemoteFailure
from pilvi.core.errors import Failure

MAX_WAITING = 1000
"""Messages a target may have waiting in one process before further ones are refused."""
STORED_ANSWERS, STORED_ANSWERS_BYTES = 4096, 32 * 1024 * 1024

Answer = Callable[[Reply], None]
T = TypeVar("T")
log = logging.getLogger("pilvi.bus")


def pick(consumers: Sequence[T], request_id: str) -> T:
    """One of several, spread evenly, and the same one again for a repetition."""
    return consumers[0] if len(consumers) == 1 else consumers[zlib.crc32(request_id.encode()) % len(consumers)]


class Workers:
    """All that one process serves. `transport` is what its handlers read in their messages."""

    def __init__(self, transport: str) -> None:
        self._transport = transport
        self._answers = _Answers()
        self._targets: dict[str, list[_Pool]] = {}
        self._topics: dict[str, list[_Pool]] = {}

    def serve(self, target: str, handlers: Mapping[str, Handler], threads: int) -> None:
        self._targets.setdefault(target, []).append(_Pool(handlers, threads, self._transport, self._answers))

    def subscribe(self, topic: str, handlers: Mapping[str, Handler]) -> None:
        self._topics.setdefault(topic, []).append(_Pool(handlers, 1, self._transport, self._answers))

    @property
    def targets(self) -> list[str]:
        return list(self._targets)

    @property
    def topics(self) -> list[str]:
        return list(self._topics)

    def loads(self) -> dict[str, Load]:
        return {target: Load(sum(pool.threads for pool in pools), sum(pool.unfinished for pool in pools))
                for target, pools in list(self._targets.items())}

    def take(self, request: Request, answer: Answer) -> None:
        """Hands a message to its handlers and returns at once. A call is answered exactly once, from any thread; other messages never."""
        if request.verb not in (CALL, CAST):
            for pool in self._topics.get(request.target, ()): pool.put(request, _ignore)
        elif not (pools := self._targets.get(request.target)):
            if request.verb == CALL: answer(Reply(request.id, NOBODY))
        elif request.verb == CAST:
            pick(pools, request.id).put(request, _ignore)
        elif self._answers.begin(request.id, answer):
            pick(pools, request.id).put(request, lambda reply: self._answers.give(request.id, reply))

    def close(self, drain_seconds: float) -> None:
        """Lets running handlers end within the limit; what still waits then is answered as lost."""
        ends_at = time.monotonic() + drain_seconds
        pools = [pool for group in (self._targets, self._topics) for pools in group.values() for pool in pools]
        for pool in pools: pool.stop()
        for pool in pools: pool.join(ends_at)


class _Pool:
    """Threads, begun when there is work for them, that run one target's handlers."""

    def __init__(self, handlers: Mapping[str, Handler], threads: int, transport: str, answers: _Answers) -> None:
        self.threads, self.unfinished = threads, 0
        self._handlers, self._transport, self._answers = handlers, transport, answers
        self._queue: queue.SimpleQueue[tuple[Request, float, Answer] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: list[threading.Thread] = []
        self._abandoned = self._stopped = False

    def put(self, request: Request, answer: Answer) -> None:
        with self._lock:
            if refused := (self._stopped or self.unfinished >= MAX_WAITING + self.threads): pass
            else:
                self.unfinished += 1
                self._queue.put((request, time.monotonic() + request.seconds_left, answer))
                if self.unfinished > len(self._running) < self.threads: self._begin_thread(request.target)
        if refused:
            log.warning("%s %s refused: %s", request.target, request.method, "closing" if self._stopped else "too many are waiting")
            answer(Reply(request.id, LOST if self._stopped else BUSY))

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for _ in self._running: self._queue.put(None)

    def join(self, ends_at: float) -> None:
        for thread in self._running:
            if thread is not threading.current_thread(): thread.join(max(0.0, ends_at - time.monotonic()))
        self._abandoned = True

    def _begin_thread(self, target: str) -> None:
        thread = threading.Thread(target=self._work, name=f"{target}-{len(self._running)}", daemon=True)
        self._running.append(thread)
        thread.start()

    def _work(self) -> None:
        while job := self._queue.get():
            request, expires_at, answer = job
            answer(self._reply(request, expires_at))
            with self._lock: self.unfinished -= 1

    def _reply(self, request: Request, expires_at: float) -> Reply:
        if self._abandoned: return Reply(request.id, LOST)
        if request.verb == CALL and time.monotonic() > expires_at: return Reply(request.id, EXPIRED)
        message = Message(request.id, request.sender, self._transport, request.target, request.method, request.headers, request.queued_at,
                          expires_at if request.verb == CALL else None)
        try:
            return Reply(request.id, DONE, result=self._result(request, message))
        except Failure as failure:
            kind = failure.kind if isinstance(failure, RemoteFailure) else type(failure).__name__
            if request.verb != CALL: log.warning("%s %s %s: %s: %s", request.target, request.method, request.id, kind, failure.message)
            return Reply(request.id, FAILED, kind, failure.message)
        except Exception:
            log.exception("%s %s %s failed", request.target, request.method, request.id)
            return Reply(request.id, FAILED, "Internal", f"{request.target} could not do '{request.method}'; see {request.id} in its log.")

    def _result(self, request: Request, message: Message) -> Raw:
        handler = self._handlers.get(request.method)
        if handler is None: raise RemoteFailure("NoSuchMethod", f"{request.target} knows no '{request.method}'.")
        result = Raw(encode(handler(decode_dict(request.args), message) or {}))
        size = len(memoryview(result))
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(method=request.method, target=request.sender, size=size, limit=MAX_MESSAGE_BYTES)
        return result


class _Answers:
    """Who waits for which call, and the answers given lately; bounded by count and by bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Answer]] = {}
        self._given: OrderedDict[str, Reply] = OrderedDict()
        self._bytes = 0

    def begin(self, request_id: str, answer: Answer) -> bool:
        """Whether the call has to be run: not when it runs already (the answer then goes here too) or has been answered."""
        with self._lock:
            given = self._given.get(request_id)
            if given is None:
                first = request_id not in self._waiting
                self._waiting.setdefault(request_id, []).append(answer)
                return first
        answer(given)
        return False

    def give(self, request_id: str, reply: Reply) -> None:
        with self._lock:
            waiting = self._waiting.pop(request_id)
            if reply.outcome == DONE: self._store(reply)  # what failed may succeed when the reason, a database that was away, is over
        for answer in waiting: answer(reply)

    def _store(self, reply: Reply) -> None:
        self._given[reply.id] = reply
        self._bytes += len(memoryview(reply.result))
        while len(self._given) > STORED_ANSWERS or self._bytes > STORED_ANSWERS_BYTES:
            self._bytes -= len(memoryview(self._given.popitem(last=False)[1].result))


def _ignore(reply: Reply) -> None:
    """Nobody waits for an answer to a cast or a fanout."""
