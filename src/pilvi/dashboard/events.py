"""One stream that tells a page what has changed, so that it reads again what it shows: Server-Sent Events at /events.

A message says type, id and project, and nothing of the thing itself: the page asks the API, whose policy decides what it may see. A
listener hears of its own project; an administrator may ask for all (`?all=1`). What is missed while nobody listens is no loss, since the
page reads everything when it connects again.
"""
from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.events import Event, Subscription
from pilvi.core.http.app import SENT, Application, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.dashboard import errors, session
from pilvi.dashboard.pages import HEADERS

BEAT_SECONDS = 15.0
MOST_STREAMS = 30
"""Of one session."""
WAITING = 1000
"""Messages a slow browser may leave unread; then it is told to read everything again."""


@dataclass(eq=False)
class Listener:
    """A browser that listens."""
    loop: asyncio.AbstractEventLoop
    word: str
    project_id: str
    everything: bool
    queue: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(WAITING))
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, messages: list[dict[str, Any]]) -> None:
        """On the loop's thread."""
        for message in messages:
            try: self.queue.put_nowait(message)
            except asyncio.QueueFull:
                while not self.queue.empty(): self.queue.get_nowait()
                self.queue.put_nowait({"type": "again"})


def listeners(application: Application) -> set[Listener]:
    """Who listens now, in this process."""
    found: set[Listener] = application.state.setdefault("listeners", set())
    return found


def tell(application: Application, events: list[Event]) -> None:
    """The subscription: passes on what happened to those who may know of it."""
    for listener in list(listeners(application)):
        messages = [_message(event) for event in events if listener.everything or event.project_id == listener.project_id]
        if not messages: continue
        try: listener.loop.call_soon_threadsafe(listener.put, messages)
        except RuntimeError: listeners(application).discard(listener)  # its loop has ended


def start(application: Application) -> None:
    """Asks to be told when the process is about to end: it would wait for open streams."""
    def leave() -> None:
        for listener in listeners(application): listener.ended.set()

    application.state["leaving"].append(leave)


def _message(event: Event) -> dict[str, Any]:
    return {"type": event.type, "id": event.subject, "project_id": event.project_id, "request_id": event.request_id, "at": event.at}


SUBSCRIPTIONS = (Subscription("*", tell, keep_seconds=30),)


async def listen(call: Call, receive: Any, send: Any) -> Response:
    """GET /events: until the browser goes away or its session ends."""
    assert call.application is not None and call.request is not None
    application, request, loop = call.application, call.request, asyncio.get_running_loop()
    found = await loop.run_in_executor(application.threads, session.find, application, request)
    if sum(each.word == found.word for each in listeners(application)) >= MOST_STREAMS: raise errors.TooManyStreams()
    listener = Listener(loop, found.word, found.project_id, found.is_admin and request.one("all") == "1")
    headers = {**HEADERS, "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
    await send({"type": "http.response.start", "status": 200,
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]})
    await send({"type": "http.response.body", "body": b"retry: 2000\n\nevent: hello\ndata: {}\n\n", "more_body": True})
    listeners(application).add(listener)
    gone = asyncio.ensure_future(_gone(receive, listener))
    try:
        while not gone.done() and clock.now() < found.expires_at:
            text = await _next(listener, gone)
            await send({"type": "http.response.body", "body": text, "more_body": True})
            if text == BEAT: await loop.run_in_executor(application.threads, session.find, application, request)
    finally:
        listeners(application).discard(listener)
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})
    return SENT


BEAT = b": beat\n\n"


async def _next(listener: Listener, gone: asyncio.Future[None]) -> bytes:
    """The next messages as text; a beat when there was none for a while."""
    first = asyncio.ensure_future(listener.queue.get())
    both: set[asyncio.Future[Any]] = {first, gone}
    try: await asyncio.wait(both, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not first.done(): first.cancel()
    if not first.done() or first.cancelled(): return BEAT
    messages = [first.result()]
    while not listener.queue.empty(): messages.append(listener.queue.get_nowait())
    return b"".join(b"data: " + msgspec.json.encode(message) + b"\n\n" for message in messages)


async def _gone(receive: Any, listener: Listener) -> None:
    """Returns when the browser has gone, or the process goes."""
    async def hang_up() -> None:
        while (await receive())["type"] != "http.disconnect": pass

    tasks = [asyncio.ensure_future(hang_up()), asyncio.ensure_future(listener.ended.wait())]
    try: await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks: task.cancel()


ROUTES = [Route("/events", "GET", listen, ANYONE, stream=True)]
