"""Keeps what middleware says to middleware away from clients, both ways, and what only an owner may see from others.

Object bytes are a tenant's: browsers are told not to run them (`sandbox`), save where a container is published as a site (staticweb.py).
"""
from __future__ import annotations

from pilvi.objectstore.proxy.constraints import OWNERS
from pilvi.objectstore.proxy.message import Handler, Request, Response
from pilvi.objectstore.proxy.world import World

INNER = ("x-backend-", "x-account-sysmeta-", "x-container-sysmeta-", "x-object-sysmeta-", "x-object-transient-sysmeta-")
NOT_TAKEN = ("x-timestamp", "x-static-large-object")
"""Set by a client these would lie."""


class Gatekeeper:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application

    async def __call__(self, request: Request) -> Response:
        if "x-timestamp" in request.headers: request.backend["x-timestamp"] = request.headers["x-timestamp"]  # for who is signed
        for name in [name for name in request.headers if name.startswith(INNER) or name in NOT_TAKEN]: del request.headers[name]
        response = await self.application(request)
        headers = response.headers
        for name in [name for name in headers if name.startswith(INNER)]: del headers[name]
        if not request.owner:
            for name in OWNERS: headers.pop(name, None)
        if request.method == "GET" and not isinstance(response.body, bytes):
            headers.setdefault("x-content-type-options", "nosniff")
            if not response.notes.get("site"): headers.setdefault("content-security-policy", "sandbox")
        return response
