"""The way from the page to the APIs: /api/SERVICE/… on the page's own origin, to which the session's token is added.

Within the process the other service's application is called with the same streams, so that uploads and downloads pass without being
held; a service elsewhere is reached at its catalogue address. What comes back may be anybody's bytes: it gets a policy under which no
browser runs it, and loses the headers that would hand a token to a script.
"""
from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from pilvi.core.context import Call
from pilvi.core.drivers import Drivers
from pilvi.core.http.app import SENT, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.dashboard import session

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "COPY")
NOT_PASSED = {"cookie", "authorization", "x-auth-token", "x-service-token", "x-subject-token", "origin", "referer", "connection",
              "keep-alive", "upgrade", "te", "expect", "transfer-encoding", "accept-encoding", session.CSRF_HEADER}
NOT_RETURNED = {"x-subject-token", "set-cookie", "www-authenticate", "x-pilvi-spans", "content-security-policy", "connection",
                "transfer-encoding", "x-auth-token", "x-storage-token", "alt-svc", "clear-site-data", "refresh"}
ADDED = ((b"content-security-policy", b"sandbox; default-src 'none'"), (b"x-content-type-options", b"nosniff"),
         (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"))
REPLACED = NOT_RETURNED | {name.decode() for name, _ in ADDED}
ELSEWHERE = Drivers[Any]({"socket": "pilvi.dashboard.elsewhere:forward"})
"""Loaded with its HTTP library only where a service is in another process."""


async def forward(call: Call, receive: Any, send: Any, service: str, path: str) -> Response:
    """Any method on /api/{service}/{path}: the same on that service, as the session's user."""
    assert call.application is not None and call.request is not None
    loop, application = asyncio.get_running_loop(), call.application
    found = await loop.run_in_executor(application.threads, session.find, application, call.request)
    request = call.request
    inner = request.path.removeprefix("/api/").partition("/")[2]  # as it came, percent-encoded: names may hold slashes
    headers = [(name, value) for name, value in request.headers.items() if name not in NOT_PASSED and not name.startswith("x-pilvi-")]
    headers.append(("x-auth-token", found.token))
    cloud = application.state["cloud"]
    if "/" + service in cloud.by_mount and service != application.service.name:
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": request.base.partition(":")[0],
                 "method": request.method, "path": f"/{service}/{unquote(inner)}", "raw_path": f"/{service}/{inner}".encode("latin-1"),
                 "query_string": request.query_string.encode("latin-1"), "root_path": "", "client": (request.client, 0), "server": None,
                 "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]}
        await cloud(scope, receive, _guarded(send))
    else:
        await ELSEWHERE["socket"](call, found, service, inner, headers, receive, _guarded(send))
    return SENT


def _guarded(send: Any) -> Any:
    async def passed(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name.decode("latin-1").lower() not in REPLACED]
            message = {**message, "headers": [*kept, *ADDED]}
        await send(message)

    return passed


ROUTES = [Route("/api/{service}/{path:path}", method, forward, ANYONE, stream=True) for method in METHODS]
