"""Browser pages from elsewhere: which of them may call the APIs and read what comes back. Off unless the configuration names origins:

    [cors]
    allowed_origins = ["https://console.example"]        # or "*"

An OPTIONS request is always answered, and needs no token: it is the browser's question before the page's own request.
Source: Fetch standard, "CORS protocol"; oslo.middleware's cors (its conditions) and each service's defaults for it (the headers).
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH")
SIMPLE = ("Accept", "Accept-Language", "Content-Type", "Cache-Control", "Content-Language", "Expires", "Last-Modified", "Pragma")
"""Headers that every page may send."""
ANY = "*"
Send = Callable[[Any], Awaitable[None]]


class Headers(Struct, frozen=True):
    """A service's own headers: which ones pages may send, and which ones they may read."""
    allowed: tuple[str, ...]
    exposed: tuple[str, ...]


USUAL = Headers(("X-Auth-Token", "X-Identity-Status", "X-Roles", "X-Service-Catalog", "X-User-Id", "X-Tenant-Id", "X-OpenStack-Request-ID",
                 "OpenStack-API-Version"),
                ("X-Auth-Token", "X-Subject-Token", "X-Service-Token", "X-OpenStack-Request-ID", "OpenStack-API-Version"))
"""What most services have."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The table [cors] of config.toml."""
    allowed_origins: list[str] = []
    """SCHEME://HOST[:PORT] of pages that may call the APIs, without a slash at the end; "*": any page, but without credentials."""
    max_age_seconds: int = 3600
    """How long a browser may remember a permission."""


IN_FORCE = [Config()]


def configure(config: Config) -> None:
    """Says which pages may call the services of this process."""
    IN_FORCE[:] = [config]


def preflight(own: Headers, request: Mapping[str, str]) -> dict[str, str]:
    """The headers that answer a browser's question; none of the permission's if it is refused."""
    origin = _allowed(request)
    method = request.get("access-control-request-method", "")
    wished = [name.strip() for name in request.get("access-control-request-headers", "").split(",") if name.strip()]
    known = {name.lower() for name in (*SIMPLE, *own.allowed)}
    if origin is None or method not in METHODS or not {name.lower() for name in wished} <= known: return {}
    headers = _permission(origin) | {"access-control-allow-methods": method,
                                     "access-control-max-age": str(IN_FORCE[0].max_age_seconds)}
    if wished: headers["access-control-allow-headers"] = ",".join(wished)
    return headers


def telling(own: Headers, request: Mapping[str, str], send: Send) -> Send:
    """An ASGI `send` that adds to the answer what lets the page read it."""
    origin = _allowed(request)
    if origin is None: return send
    added = _permission(origin) | {"access-control-expose-headers": ",".join(own.exposed)}

    async def told(message: Any) -> None:
        if message["type"] == "http.response.start":
            vary = [value for name, value in message["headers"] if name == b"vary"]
            headers = {name.encode(): value.encode("latin-1") for name, value in added.items()} | {b"vary": b", ".join([*vary, b"Origin"])}
            message = {**message, "headers": [*(pair for pair in message["headers"] if pair[0] != b"vary"), *headers.items()]}
        await send(message)

    return told


def _allowed(request: Mapping[str, str]) -> str | None:
    """The origin of the page behind a request, or ANY; None if there is no page or it may not call."""
    origin, origins = request.get("origin"), IN_FORCE[0].allowed_origins
    if not origin or not origins: return None
    return origin if origin in origins else ANY if ANY in origins else None


def _permission(origin: str) -> dict[str, str]:
    headers = {"vary": "Origin", "access-control-allow-origin": origin}
    return headers if origin == ANY else headers | {"access-control-allow-credentials": "true"}
