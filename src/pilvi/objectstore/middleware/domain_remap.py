"""Names of hosts instead of paths: ACCOUNT.DOMAIN/container/object and CONTAINER.ACCOUNT.DOMAIN/object.

An account's name may be written with `-` for `_`, which host names do not have, and in any case.
Source: upstream's domain_remap middleware, its documentation.
"""
from __future__ import annotations

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, quoted
from pilvi.objectstore.proxy.world import World

PREFIXES = ("AUTH",)


class DomainRemap:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        self.ending = "." + world.config.storage_domain.lstrip(".").lower()
        self.prefixes = (*PREFIXES, world.config.service_prefix.rstrip("_"))
        if world.config.storage_domain: world.info["domain_remap"] = {"default_reseller_prefix": PREFIXES[0]}

    async def __call__(self, request: Request) -> Response:
        if self.ending == ".": return await self.application(request)
        host = request.headers.get("host", "").partition(":")[0]
        if not host.lower().endswith(self.ending): return await self.application(request)
        parts = host[:-len(self.ending)].split(".")
        if len(parts) > 2 or not all(parts): raise Refused(400, "Bad domain in host header", PLAIN)
        container, account = (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])
        account = self._account(account)
        inside = "/".join(part for part in (container, request.path[1:]) if part)
        remapped = f"/v1/{account}/" + inside + ("/" if container and request.path == "/" else "")
        before, request.path = request.path, remapped
        request.raw_path = quoted(remapped)
        request.notes |= {"path": remapped, "shown path": before}
        return await self.application(request)

    def _account(self, name: str) -> str:
        """The account a host's label names."""
        for prefix in self.prefixes:
            if name[:len(prefix)].upper() == prefix and name[len(prefix):len(prefix) + 1] in ("-", "_"):
                return f"{prefix}_{name[len(prefix) + 1:]}"
        return f"{PREFIXES[0]}_{name}"
