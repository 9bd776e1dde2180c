"""The end of the chain: which account, container or object is meant, and who answers for it."""
from __future__ import annotations

from pilvi.core.errors import Failure
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import Full, NoQuorum
from pilvi.objectstore.proxy import account, container, object_
from pilvi.objectstore.proxy.message import PLAIN, Request, Response, well_formed
from pilvi.objectstore.proxy.world import World

VERSIONS = ("v1", "v1.0")
OWN = frozenset({"PUT", "POST", "DELETE"})


class End:
    """Dispatches to accounts, containers and objects."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def __call__(self, request: Request) -> Response:
        if not well_formed(request.path, nul=request.reserved_names): raise Refused(412, "Invalid UTF8 or contains NULL", PLAIN)
        version, account_name, container_name, name = request.parts
        if account_name is None:
            if request.path.count("/") > 1: raise Refused(404)
            raise Refused(412, "Bad URL", PLAIN)
        if version not in VERSIONS: raise Refused(400, "Invalid path", PLAIN)
        try: return await self._dispatch(request, account_name, container_name, name)
        except Full: raise Refused(507) from None
        except NoQuorum: raise Refused(503) from None
        except Failure as failure: raise Refused(failure.status if failure.status >= 400 else 500, failure.message, PLAIN) from failure

    async def _dispatch(self, request: Request, account_name: str, container_name: str | None, name: str | None) -> Response:
        methods = (object_ if name else container if container_name else account).METHODS
        if request.method not in methods: raise Refused(405, headers={"allow": ", ".join([*methods, "OPTIONS"])})
        if not container_name:
            await request.check_access()
            return await account.METHODS[request.method](self.world, request, account_name)
        if not name:
            if request.method in OWN: await request.check_access()
            return await container.METHODS[request.method](self.world, request, account_name, container_name)
        return await object_.METHODS[request.method](self.world, request, account_name, container_name, name)
