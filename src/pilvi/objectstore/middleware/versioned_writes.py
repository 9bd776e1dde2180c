"""Versioning with X-Versions-Location or X-History-Location: what is overwritten is copied into another container first.

Stack (`location`): DELETE brings the newest copy back. History: DELETE keeps a copy and a marker, nothing comes back.
Source: Object Storage API, "Object versioning" (the older kind).
"""
from __future__ import annotations

from urllib.parse import unquote

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, is_true, quoted, size_of
from pilvi.objectstore.proxy.object_ import OVERRIDE
from pilvi.objectstore.proxy.versions import MARKER
from pilvi.objectstore.proxy.world import World

STACK, HISTORY = "x-versions-location", "x-history-location"
LOCATION, MODE = "x-container-sysmeta-versions-location", "x-container-sysmeta-versions-mode"
MOST_TRIED = 10
LISTED_SLO = "x-object-sysmeta-slo-etag"


class VersionedWrites:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["versioned_writes"] = {"allowed_flags": [STACK, HISTORY]}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not (account and container): return await self.application(request)
        if not name: return await self._container(request)
        if request.method not in ("PUT", "DELETE"): return await self.application(request)
        stat = await self.world.facts.container(request, account, container)
        location = unquote(stat.metadata.get(LOCATION, ""), errors="surrogateescape") if stat else ""
        if stat is None or not location or ("multipart-manifest" in request.query and request.method == "DELETE"):
            return await self.application(request)
        request.acl = stat.metadata.get("x-container-write")
        await request.check_access()
        mode = stat.metadata.get(MODE, "stack")
        if request.method == "PUT":
            await self._keep(request, location)
            return await self.application(request)
        return await (self._delete_history(request, location) if mode == "history" else self._delete_stack(request, location))

    async def _container(self, request: Request) -> Response:
        headers = request.headers
        if request.method in ("PUT", "POST"):
            given = {name: headers.pop(name) for name in (STACK, HISTORY) if name in headers}
            removed = [name for name in (STACK, HISTORY) if headers.pop(name.replace("x-", "x-remove-", 1), "")]
            wanted = {name: value for name, value in given.items() if value}
            if len(wanted) > 1: raise Refused(400, f"Only one of {STACK} or {HISTORY} may be specified", PLAIN)
            for name, value in wanted.items():
                if not value.strip() or "/" in unquote(value, errors="surrogateescape"):
                    raise Refused(412, f"{name} must be a container name", PLAIN)
                headers |= {LOCATION: quoted(unquote(value, errors="surrogateescape"), ""), MODE: "history" if name == HISTORY else "stack"}
            if (given or removed) and not wanted: headers |= {LOCATION: "", MODE: ""}
        response = await self.application(request)
        if response.headers.get(LOCATION):
            shown = HISTORY if response.headers.get(MODE) == "history" else STACK
            response.headers[shown] = response.headers[LOCATION]
        return response

    def _prefix(self, name: str) -> str:
        """What all versions of an object begin with: the length keeps `a/b` of `a` apart from `a/b`."""
        return f"{size_of(name):03x}{name}/"

    async def _keep(self, request: Request, location: str) -> None:
        """Copies what is there. Raises Refused when that is not possible: then nothing is overwritten."""
        api, account, _, name = request.parts
        held = await self.application(request.child("GET", request.path, query={"symlink": "get"}, trusted=True))
        if held.status == 404:
            await held.close()
            return
        if not held.ok:
            await held.close()
            raise Refused(503)
        try:
            moment = timestamp.text(timestamp.parse(held.headers["x-backend-data-timestamp"]))
            path = f"/{api}/{account}/{location}/{self._prefix(name or '')}{moment}"
            copy = request.child("PUT", path, headers=_copied(held), body=held.pieces(), trusted=True)
            await self._must_succeed(await self.application(copy))
        finally: await held.close()

    async def _must_succeed(self, response: Response) -> None:
        await response.close()
        if response.ok: return
        raise Refused(412 if 400 <= response.status < 500 else 503)

    async def _delete_history(self, request: Request, location: str) -> Response:
        api, account, _, name = request.parts
        await self._keep(request, location)
        path = f"/{api}/{account}/{location}/{self._prefix(name or '')}{timestamp.text(timestamp.now())}"
        marker = request.child("PUT", path, headers={"content-type": MARKER, "content-length": "0"}, trusted=True)
        await self._must_succeed(await self.application(marker))
        return await self.application(request)

    async def _delete_stack(self, request: Request, location: str) -> Response:
        """The newest copy becomes the object again; without one the object is deleted."""
        api, account, _, name = request.parts
        base = f"/{api}/{account}/{location}"
        query = {"prefix": self._prefix(name or ""), "reverse": "true", "limit": str(MOST_TRIED)}
        listed = await self.application(request.child("GET", base, query=query, trusted=True))
        entries = listed.notes["listing"].lines if listed.ok else []
        paths = [f"{base}/{line['name']}" for line in entries]
        if not entries: return await self.application(request)
        if entries[0]["content_type"] != MARKER:
            for path in paths:
                if await self._bring_back(request, path): return await self._instead(request, path)
            return await self.application(request)
        current = await self.application(request.child("HEAD", request.path, trusted=True))
        await current.close()
        if current.status != 404: return await self.application(request)
        if len(entries) > 1 and entries[1]["content_type"] != MARKER and await self._bring_back(request, paths[1]):
            await self.application(request.child("DELETE", paths[1], trusted=True))
        return await self._instead(request, paths[0])

    async def _instead(self, request: Request, path: str) -> Response:
        """The copy is what is deleted in the end."""
        request.authorize, request.path = None, path
        return await self.application(request)

    async def _bring_back(self, request: Request, path: str) -> bool:
        """False: the copy is gone."""
        held = await self.application(request.child("GET", path, query={"symlink": "get"}, trusted=True))
        if held.status == 404:
            await held.close()
            return False
        try:
            if not held.ok: raise Refused(503)
            copy = request.child("PUT", request.path, headers=_copied(held), body=held.pieces(), trusted=True)
            await self._must_succeed(await self.application(copy))
        finally: await held.close()
        return True


def _copied(held: Response) -> dict[str, str]:
    """The headers with which an object is put as it is."""
    headers = {name: value for name, value in held.headers.items()
               if name.startswith(("x-object-", "content-", "x-symlink-")) or name in ("cache-control", "expires", "etag", "x-delete-at")}
    if is_true(held.headers.get("x-static-large-object")):
        headers |= {"x-static-large-object": "True", OVERRIDE + "etag": f"{headers['etag']}; slo_etag={headers[LISTED_SLO]}",
                    OVERRIDE + "size": headers["x-object-sysmeta-slo-size"]}
    headers.pop("content-location", None)
    return headers
