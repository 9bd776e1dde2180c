"""What the store can do: GET /info; whether it is up: GET /healthcheck; who may be asked across domains: GET /crossdomain.xml.

Source: Object Storage API, "Discoverability".
"""
from __future__ import annotations

import msgspec

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.constraints import LIMITS
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, answer
from pilvi.objectstore.proxy.world import World

CROSSDOMAIN = b"""<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >
<cross-domain-policy>
<site-control permitted-cross-domain-policies="none"/>
</cross-domain-policy>"""


class Info:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["crossdomain"] = {}
        world.info["swift"] = {
            **LIMITS, "version": "2.38.0", "strict_cors_mode": True, "account_autocreate": True, "allow_account_management": True,
            "allow_open_expired": True, "valid_api_versions": ["v1", "v1.0"], "policies": [
                {"name": policy.name, "aliases": policy.name, **({"default": True} if policy is world.store.policies.default else {})}
                for policy in world.store.policies if not policy.deprecated]}

    async def __call__(self, request: Request) -> Response:
        if request.path not in ("/info", "/healthcheck", "/crossdomain.xml"): return await self.application(request)
        if request.method not in ("GET", "HEAD", "OPTIONS"): raise Refused(405, headers={"allow": "GET, HEAD, OPTIONS"})
        if request.method == "OPTIONS": return answer(200, b"", headers={"allow": "GET, HEAD, OPTIONS"})
        if request.path == "/healthcheck": return answer(200, "OK", PLAIN)
        if request.path == "/crossdomain.xml": return answer(200, CROSSDOMAIN, "application/xml")
        if "swiftinfo_sig" in request.query: raise Refused(403)
        return answer(200, msgspec.json.encode(self.world.info), "application/json; charset=UTF-8")
