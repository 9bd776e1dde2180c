"""Requests of browser pages from elsewhere: preflights, and which answers a page may read. A container's owner says which origins.

X-Container-Meta-Access-Control-Allow-Origin, -Max-Age, -Expose-Headers. Source: Object Storage API, "CORS".
"""
from __future__ import annotations

from pilvi.objectstore.proxy.message import Handler, Request, Response, answer
from pilvi.objectstore.proxy.world import World

PREFIX = "x-container-meta-access-control-"
METHODS = {True: "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT", False: "DELETE, GET, HEAD, OPTIONS, POST, PUT"}
"""Of an object, of everything else."""
EXPOSED = ("cache-control", "content-language", "content-type", "expires", "last-modified", "pragma", "etag", "x-timestamp", "x-trans-id",
           "x-openstack-request-id")


class Cors:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        origin = request.headers.get("origin")
        if not account: return await self.application(request)
        if request.method == "OPTIONS": return await self._preflight(request, account, container, bool(name), origin)
        if not origin or not container: return await self.application(request)
        response = await self.application(request)
        rules = await self._rules(request, account, container)
        allowed = _allowed(origin, rules)
        if allowed and "access-control-allow-origin" not in response.headers:
            given = rules.get("expose-headers", "").replace(",", " ").split()
            shown = {*EXPOSED, *(word.lower() for word in given), *(header for header in response.headers if "-meta-" in header)}
            response.headers |= {"access-control-allow-origin": allowed, "access-control-expose-headers": ", ".join(sorted(shown))}
            if allowed != "*": response.headers["vary"] = "Origin"
        return response

    async def _rules(self, request: Request, account: str, container: str) -> dict[str, str]:
        stat = await self.world.facts.container(request, account, container)
        return {name.removeprefix(PREFIX): value for name, value in stat.metadata.items() if name.startswith(PREFIX)} if stat else {}

    async def _preflight(self, request: Request, account: str, container: str | None, is_object: bool, origin: str | None) -> Response:
        methods = METHODS[is_object]
        if not origin: return answer(200, b"", headers={"allow": methods})
        rules = await self._rules(request, account, container) if container else {}
        allowed = _allowed(origin, rules)
        if not allowed or request.headers.get("access-control-request-method") not in methods.split(", "):
            return answer(401, headers={"allow": methods})
        headers = {"allow": methods, "access-control-allow-methods": methods, "access-control-allow-origin": allowed}
        if allowed != "*": headers["vary"] = "Origin, Access-Control-Request-Headers"
        if rules.get("max-age"): headers["access-control-max-age"] = rules["max-age"]
        if asked := request.headers.get("access-control-request-headers"): headers["access-control-allow-headers"] = asked
        return answer(200, b"", headers=headers)


def _allowed(origin: str, rules: dict[str, str]) -> str | None:
    origins = rules.get("allow-origin", "").split()
    if "*" in origins: return "*"
    return origin if origin in origins else None
