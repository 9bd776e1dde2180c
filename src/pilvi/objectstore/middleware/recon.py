"""How the store is, for administrators: GET /recon, and with ?dispersion=on whether every copy of every object is where it belongs.

Upstream's servers answer /recon/… each for itself, to whoever reaches them; here one request tells of all, and asks who you are.
"""
from __future__ import annotations

import msgspec

from pilvi.objectstore.cluster.health import dispersions, health
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import Handler, Request, Response, answer, is_true
from pilvi.objectstore.proxy.world import World


class Recon:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world

    async def __call__(self, request: Request) -> Response:
        if request.path != "/recon": return await self.application(request)
        if request.method != "GET": raise Refused(405, headers={"allow": "GET"})
        if "admin" not in request.identity.roles: raise request.deny(request) if request.deny else Refused(401)
        members = self.world.application.state["object_store"].members
        told = await health(members)
        if is_true(request.query.get("dispersion")): told["dispersion"] = await dispersions(members)
        return answer(200, msgspec.json.encode(told), "application/json")
