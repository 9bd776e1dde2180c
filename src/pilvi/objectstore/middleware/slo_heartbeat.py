"""`?multipart-manifest=put&heartbeat=on`: 202 at once, a blank now and then while the segments are looked at, the outcome as the body.

Source: Object Storage API, "Static large objects"; for clients, and proxies between, that give up on a silent connection.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from pilvi.objectstore.errors import TEXTS, Refused, reason
from pilvi.objectstore.proxy.message import Response

YIELD_SECONDS = 10


class Unfit(Refused):
    """Segments that are not as the manifest says: [[path, what is wrong]]."""

    def __init__(self, problems: list[list[str]], json: bool) -> None:
        text: str | bytes = msgspec.json.encode({"Errors": problems})
        if not json: text = "Errors:\n" + "".join(f"{path}, {why}\n" for path, why in problems)
        super().__init__(400, text, "application/json" if json else "text/plain; charset=UTF-8")
        self.problems = problems


def beating(form: str, work: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
    """The answer that lasts as long as the work. `form`: the media type of its end."""
    return Response(202, {"content-type": form}, _body(form, work))


async def _body(form: str, work: Callable[[], Coroutine[Any, Any, Response]]) -> AsyncIterator[bytes]:
    task = asyncio.ensure_future(work())
    try:
        yield b" "
        while not (await asyncio.wait([task], timeout=YIELD_SECONDS))[0]: yield b" "
        facts, problems = await _outcome(task)
        yield b"\r\n\r\n" + _report(form, facts, problems)
    finally: task.cancel()


async def _outcome(task: asyncio.Task[Response]) -> tuple[dict[str, str], list[list[str]]]:
    try: response = await task
    except Unfit as failure: return _told(failure.status, "\n".join(TEXTS[failure.status])), failure.problems
    except Refused as failure:
        text = failure.text.decode() if isinstance(failure.text, bytes) else failure.text
        return _told(failure.status, text or "\n".join(TEXTS.get(failure.status, ()))), []
    body = (await response.read()).decode("utf-8", "replace")
    if not response.ok: return _told(response.status, body), []
    facts = {"Etag": response.headers["etag"], "Last Modified": response.headers["last-modified"]}
    return facts | _told(response.status, ""), []


def _told(status: int, body: str) -> dict[str, str]:
    return {"Response Body": body, "Response Status": f"{status} {reason(status)}"}


def _report(form: str, facts: dict[str, str], problems: list[list[str]]) -> bytes:
    if form == "application/json": return msgspec.json.encode({**facts, "Errors": problems})
    if not form.endswith("xml"):
        return "".join([*(f"{name}: {value}\n" for name, value in facts.items()), "Errors:\n",
                        *(f"{path}, {why}\n" for path, why in problems)]).encode()
    tags = "".join("<{0}>{1}</{0}>\n".format(name.replace(" ", "_").lower(), escape(value)) for name, value in facts.items())
    errors = "".join(f"<object><name>{escape(path)}</name><status>{escape(why)}</status></object>\n" for path, why in problems)
    return f"<upload>\n{tags}<errors>\n{errors}</errors>\n</upload>\n".encode()
