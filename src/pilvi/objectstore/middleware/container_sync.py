"""Container sync, the receiving side: what another cloud sends is taken by the signature of both keys; and the wishes to send.

Source: OpenStack Object Storage, "Container to Container Synchronization", `X-Container-Sync-Auth: REALM NONCE SIGNATURE`.
"""
from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import quote

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response
from pilvi.objectstore.proxy.world import World
from pilvi.objectstore.sync.realms import Realms, UnknownTarget, signature


class ContainerSync:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world, self.realms = application, world, Realms(world.config.sync_realms)
        self._tell()

    def _tell(self) -> None:
        told: dict[str, Any] = {name: {"clusters": {cluster: {} for cluster in realm.clusters}}
                                for name, realm in self.realms.all().items() if realm.clusters}
        self.world.info["container_sync"] = {"realms": told}

    async def __call__(self, request: Request) -> Response:
        if request.path == "/info": self._tell()
        if (wish := request.headers.get("x-container-sync-to")) and request.method in ("PUT", "POST"): self._check(wish)
        if "x-container-sync-auth" not in request.headers: return await self.application(request)
        if not await self._genuine(request):
            raise Refused(401, "X-Container-Sync-Auth header not valid; contact cluster operator for support.", PLAIN,
                          {"www-authenticate": f'SwiftContainerSync realm="{request.parts[1] or "unknown"}"'})
        request.authorize, request.authorized_by = _anyone, "container sync"
        response = await self.application(request)
        if response.status == 409: response.status = 202  # something newer is here: that's as it should be
        return response

    def _check(self, wish: str) -> None:
        if not wish.startswith("//"):
            raise Refused(400, "Full URLs are not allowed for X-Container-Sync-To values. Only realm values of the format "
                               "//realm/cluster/account/container are allowed.\n", PLAIN)
        try: self.realms.target(wish)
        except UnknownTarget as failure: raise Refused(400, str(failure), PLAIN) from None

    async def _genuine(self, request: Request) -> bool:
        """Was it signed with the realm's key and the container's? Then it's of the time it says."""
        words = request.headers["x-container-sync-auth"].split()
        _, account, container, name = request.parts
        if len(words) != 3 or not (account and container and name) or request.method not in ("PUT", "DELETE"): return False
        realm, facts = self.realms.named(words[0]), await self.world.facts.container(request, account, container)
        user_key = facts.metadata.get("x-container-sync-key") if facts else ""
        if realm is None or not realm.key or not user_key: return False
        at, path = request.backend.get("x-timestamp", "0"), quote(request.path, errors="surrogateescape")
        keys = [key for key in (realm.key, realm.key2) if key]
        right = [signature(request.method, path, at, words[1], key, user_key) for key in keys]
        if not any(hmac.compare_digest(one.encode(), words[2].encode("utf-8", "replace")) for one in right): return False
        try: request.notes["timestamp"] = timestamp.parse(at)
        except ValueError: return False
        return True


async def _anyone(request: Request) -> None:
    """The signature is all."""
