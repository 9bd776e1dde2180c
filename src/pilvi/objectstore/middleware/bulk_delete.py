"""Deleting many things with one request: POST ?bulk-delete with a path on each line of the body.

The answer is 200 whatever happens to each; its body tells. Source: Object Storage API, "Bulk delete".
"""
from __future__ import annotations

import asyncio
from urllib.parse import unquote
from xml.sax.saxutils import escape

import msgspec

from pilvi.objectstore.errors import Refused, reason
from pilvi.objectstore.proxy.listing import wanted_format
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, answer, well_formed
from pilvi.objectstore.proxy.message import quoted as quoted_path
from pilvi.objectstore.proxy.world import World

MOST = 10_000
MOST_FAILED = 1_000
LINE_BYTES = 3 * 1024 * 2 + 20
AT_ONCE = 8
RETRIED = 3


class BulkDelete:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        world.info["bulk_delete"] = {"max_deletes_per_request": MOST, "max_failed_deletes": MOST_FAILED}

    async def __call__(self, request: Request) -> Response:
        account = request.parts[1]
        if "bulk-delete" not in request.query or request.method not in ("POST", "DELETE") or not account:
            return await self.application(request)
        form = wanted_format(request)
        try: lines = await _lines(request)
        except Refused as failure: return report(form, f"{failure.status} {reason(failure.status)}", str(failure.text or ""), {}, [])
        prefix, paths, bad = f"/{request.parts[0]}/{account}", [], []
        for line in lines:
            path = unquote(line.strip(), errors="surrogateescape")
            if not path: continue
            full = f"{prefix}/{path.lstrip('/')}"
            if well_formed(path): paths.append(full)
            else: bad.append((line.strip(), "412 Precondition Failed"))
        return await remove(request, self.application, paths, dict(bad))


async def _lines(request: Request) -> list[str]:
    """The body's lines. Raises Refused."""
    if request.length is None and "transfer-encoding" not in request.headers: raise Refused(411)
    body = bytearray()
    async for piece in request.body:
        body += piece
        if len(body) > MOST * 600: raise Refused(413, f"Maximum Bulk Deletes: {MOST} per request", PLAIN)
    lines = body.decode("utf-8", "surrogateescape").split("\n")
    if any(len(line) > LINE_BYTES for line in lines): raise Refused(400, "Invalid File Name", PLAIN)
    if len([line for line in lines if line.strip()]) > MOST: raise Refused(413, f"Maximum Bulk Deletes: {MOST} per request", PLAIN)
    return lines


async def remove(request: Request, fetch: Handler, paths: list[str], failed: dict[str, str]) -> Response:
    """Deletes the paths (whole, /v1/account/…), objects side by side, containers after them in order; the report."""
    counts = {"Number Deleted": 0, "Number Not Found": 0}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(path: str) -> None:
        version = {name: value for name, value in request.query.items() if name == "version-id" and path == request.path}
        async with gate: response = await fetch(request.child("DELETE", path, query=version, source="BD"))
        await response.close()
        if response.status == 404: counts["Number Not Found"] += 1
        elif response.ok: counts["Number Deleted"] += 1
        else: failed[quoted_path("/" + path.split("/", 3)[3])] = f"{response.status} {reason(response.status)}"

    objects = [path for path in paths if path.rstrip("/").count("/") > 3]
    last = objects.pop() if objects and objects[-1] == request.path else None
    await asyncio.gather(*(one(path) for path in objects))
    if last is not None: await one(last)
    for path in paths:
        if path.rstrip("/").count("/") == 3: await one(path)
    if failed: status = "401 Unauthorized" if "401 Unauthorized" in failed.values() else "400 Bad Request"
    elif not any(counts.values()): status = "400 Bad Request"
    elif not counts["Number Deleted"]: status = "404 Not Found"
    else: status = "200 OK"
    text = "" if any(counts.values()) or failed else "Invalid bulk delete."
    return report(wanted_format(request), status, text, counts, list(failed.items()))


def report(form: str, status: str, text: str, counts: dict[str, int], failed: list[tuple[str, str]]) -> Response:
    """The body that tells how it went, as text, JSON or XML."""
    data = {**counts, "Response Status": status, "Response Body": text, "Errors": [list(pair) for pair in failed]}
    if form == "application/json": return answer(200, msgspec.json.encode(data), "application/json")
    if form.endswith("xml"):
        rows = "".join(f"<{_tag(name)}>{escape(str(value))}</{_tag(name)}>" for name, value in data.items() if name != "Errors")
        errors = "".join(f"<object><name>{escape(name)}</name><status>{escape(why)}</status></object>" for name, why in failed)
        return answer(200, f"<delete>{rows}<errors>{errors}</errors></delete>", form)
    facts = [f"{name}: {value}" for name, value in data.items() if name != "Errors"]
    return answer(200, "\n".join([*facts, "Errors:", *(f"{name}, {why}" for name, why in failed)]), "text/plain")


def _tag(name: str) -> str:
    return name.lower().replace(" ", "_")
