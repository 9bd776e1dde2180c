"""The page's files. Every path that is no file is a place within the page, so it gets the page itself.

The Content-Security-Policy lets the page run its own scripts and speak to its own origin, and nothing else.
"""
from __future__ import annotations

import asyncio
import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.dashboard import errors

INDEX = "index.html"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
          "frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
           "Cross-Origin-Opener-Policy": "same-origin"}
COMPRESSED = {".html", ".js", ".css", ".svg", ".json"}


async def page(call: Call, receive: Any, send: Any, file: str = "") -> Response:
    """GET /…: a file of the built page, or the page."""
    assert call.application is not None and call.request is not None
    folder: Path | None = call.application.state["dashboard_files"]
    if folder is None or not (folder / INDEX).is_file(): raise errors.NotBuilt()
    path = _inside(folder, file)
    if path is None:
        if file.startswith("assets/"): raise NotFound()
        path = folder / INDEX
    squeeze = "gzip" in call.request.headers.get("accept-encoding", "") and path.suffix in COMPRESSED
    body = await asyncio.get_running_loop().run_in_executor(call.application.threads, _bytes, path, path.stat().st_mtime_ns, squeeze)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    lasting = "public, max-age=31536000, immutable" if path.parent.name == "assets" else "no-cache"  # assets carry a hash in their names
    headers = {**HEADERS, "Cache-Control": lasting, "Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if squeeze else {})}
    if path.name == INDEX: headers["Content-Security-Policy"] = POLICY
    return Response(200, body, headers, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)


def _inside(folder: Path, file: str) -> Path | None:
    try:
        path = (folder / file).resolve()
        return path if file and path.is_relative_to(folder.resolve()) and path.is_file() else None
    except OSError: return None  # a name that no file can have


@lru_cache(64)
def _bytes(path: Path, changed: int, squeeze: bool) -> bytes:
    """A file's bytes; compressed once. `changed` only tells apart what was built anew."""
    return gzip.compress(path.read_bytes(), 6) if squeeze else path.read_bytes()


ROUTES = [Route("/", "GET", page, ANYONE, stream=True), Route("/{file:path}", "GET", page, ANYONE, stream=True)]
