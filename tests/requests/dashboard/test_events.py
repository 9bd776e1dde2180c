"""The stream of changes: who hears what, and when it ends."""
from __future__ import annotations

import asyncio
import json
from typing import Any

from sqlalchemy import delete
from tests.requests.dashboard.conftest import HOST, Browser

from pilvi.core.events import Event
from pilvi.core.http.app import Application
from pilvi.dashboard import events
from pilvi.dashboard.session import SessionRow


def event(seq: int, project_id: str | None, type: str = "compute.instance.create.end") -> Event:
    return Event("compute", seq, type, 1.0 * seq, f"thing-{seq}", project_id, "u", "req-1", {"secret": "stays here"})


class Stream:
    """A browser's EventSource."""

    def __init__(self, browser: Browser, query: str = "") -> None:
        self.browser, self.query, self.status, self.text = browser, query, 0, ""
        self.left = asyncio.Event()

    async def run(self) -> None:
        async def receive() -> Any:
            await self.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)
            self.text += message.get("body", b"").decode()

        scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/dashboard/events", "raw_path": b"/dashboard/events",
                 "query_string": self.query.encode(), "client": None, "headers": [
                     (b"host", HOST.encode()), (b"cookie", self.browser.cookie.encode()), (b"sec-fetch-site", b"same-origin")]}
        await self.browser.cloud(scope, receive, send)

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line.removeprefix("data: ")) for line in self.text.splitlines() if line.startswith("data: {\"")]


async def until(condition: Any) -> None:
    for _ in range(3000):
        if condition(): return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def test_each_hears_of_its_own_project_only(browser: Browser, dashboard: Application) -> None:
    admin = Browser(browser.cloud)
    browser.sign_in()
    admin.sign_in("admin")

    async def story() -> None:
        mine, all_of_it, greedy = Stream(browser), Stream(admin, "all=1"), Stream(browser, "all=1")
        streams = [asyncio.ensure_future(each.run()) for each in (mine, all_of_it, greedy)]
        await until(lambda: len(events.listeners(dashboard)) == 3)
        await asyncio.to_thread(events.tell, dashboard, [event(1, "home"), event(2, "elsewhere"), event(3, None)])
        await until(lambda: len(all_of_it.heard()) == 3 and mine.heard() and greedy.heard())
        assert [m["id"] for m in mine.heard()] == ["thing-1"] == [m["id"] for m in greedy.heard()]
        assert "stays here" not in all_of_it.text, "a message names a thing and tells nothing of it"
        for each in (mine, all_of_it, greedy): each.left.set()
        await asyncio.wait_for(asyncio.gather(*streams), 60)
        assert events.listeners(dashboard) == set()

    asyncio.run(story())


def test_a_session_has_so_many_streams(browser: Browser, dashboard: Application) -> None:
    browser.sign_in()
    word = browser.cookie.partition("=")[2]

    async def story() -> None:
        events.listeners(dashboard).update(
            events.Listener(asyncio.get_running_loop(), word, "home", False) for _ in range(events.MOST_STREAMS))
        stream = Stream(browser)
        await asyncio.wait_for(stream.run(), 60)
        assert stream.status == 503

    asyncio.run(story())


def test_no_stream_without_a_session(browser: Browser, dashboard: Application) -> None:
    async def story() -> None:
        stream = Stream(browser)
        await asyncio.wait_for(stream.run(), 60)
        assert stream.status == 401

    asyncio.run(story())


def test_it_ends_with_the_session(browser: Browser, dashboard: Application, monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.05)  # how long a quiet stream waits before it looks again
    browser.sign_in()

    async def story() -> None:
        stream = Stream(browser)
        running = asyncio.ensure_future(stream.run())
        await until(lambda: ": beat" in stream.text)
        with dashboard.database.write() as db: db.execute(delete(SessionRow))
        await asyncio.wait_for(running, 60)

    asyncio.run(story())


def test_a_slow_browser_is_told_to_read_again(dashboard: Application) -> None:
    async def story() -> None:
        listener = events.Listener(asyncio.get_running_loop(), "word", "home", False)
        listener.put([{"type": "x", "id": str(n)} for n in range(events.WAITING + 1)])
        assert listener.queue.qsize() == 1 and listener.queue.get_nowait() == {"type": "again"}

    asyncio.run(story())
