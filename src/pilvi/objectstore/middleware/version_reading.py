"""What versioning shows: objects by ?version-id, listings with ?versions, the switch on the container. The base of object_versioning.py."""
from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import unquote

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import ContainerStat
from pilvi.objectstore.proxy import listing, versions
from pilvi.objectstore.proxy.constraints import LISTING
from pilvi.objectstore.proxy.listing import Line
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, answer, is_true, quoted
from pilvi.objectstore.proxy.versions import MARKER
from pilvi.objectstore.proxy.world import World

ENABLED = "x-container-sysmeta-versions-enabled"
LEGACY = ("x-container-sysmeta-versions-location", "x-container-sysmeta-versions-mode")
HEADER = "x-versions-enabled"
LINKED = "x-object-sysmeta-versions-link"
Where = tuple[str, str, str, str]
"""(version of the API, account, container, object)"""


class VersionReading(ABC):
    """Middleware, its reading half."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["object_versioning"] = {}

    async def __call__(self, request: Request) -> Response:
        api, account, container, name = request.parts
        if not (account and container) or container.startswith(versions.PREFIX): return await self.application(request)
        if not name: return await self._container(request, account, container)
        stat = await self.world.facts.container(request, account, container)
        version = request.query.get("version-id") if request.authorized_by != "tempurl" else None  # a signature does not cover it
        if stat is None or not stat.metadata.get(ENABLED):
            if version not in (None, "null"): return await self._unversioned(request, stat, version or "")
            return await self.application(request)
        where = (api, account, container, name)
        if request.method in ("GET", "HEAD"):
            return await (self._get(request, where) if version is None else self._get_version(request, where, version))
        if request.method in ("PUT", "POST", "DELETE"): return await self.change(request, where, version, stat.metadata[ENABLED] == "True")
        return await self.application(request)

    @abstractmethod
    async def change(self, request: Request, where: Where, version: str | None, enabled: bool) -> Response:
        """PUT, POST and DELETE of an object."""

    async def _unversioned(self, request: Request, stat: ContainerStat | None, version: str) -> Response:
        if stat is None: return await self.application(request)
        await self.admit_owner(request)
        self.moment_of(version)
        raise Refused(400, "version-aware operations require that the container is versioned", PLAIN)

    # -- the container

    async def _container(self, request: Request, account: str, container: str) -> Response:
        if request.method in ("PUT", "POST"): await self._switch(request, account, container)
        if request.method == "DELETE": return await self._delete(request, account, container)
        if request.method not in ("GET", "HEAD"): return await self.application(request)
        asked = "versions" in request.query and request.method == "GET"
        if asked: _only_json(request)
        response = await self.application(request)
        if not response.ok: return response
        enabled = response.headers.get(ENABLED)
        if enabled: await self._show_switch(request, response, account, container, enabled)
        lines: listing.Listing = response.notes["listing"]
        if asked: lines.lines = await self._versions(request, account, container, bool(enabled))
        elif enabled:
            for line in lines.lines:
                version = versions.split_link(line)
                if version is None: continue
                path = quoted(f"{request.path.rstrip('/')}/{line['name']}")
                line |= {"symlink_path": f"{path}?version-id={version}", "version_symlink": True}
        return response

    async def _switch(self, request: Request, account: str, container: str) -> None:
        """X-Versions-Enabled: the hidden container is made with the switch."""
        given = request.headers.pop(HEADER, None)
        if given is None: return
        await request.check_access()
        if given.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"):
            raise Refused(400, "Invalid X-Versions-Enabled value", PLAIN)
        stat = await self.world.facts.container(request, account, container, fresh=True)
        if any(request.headers.get(name) for name in LEGACY) or (stat and stat.metadata.get(LEGACY[0]) and is_true(given)):
            raise Refused(400, "Cannot enable object versioning on a container that uses X-Versions-Location or X-History-Location", PLAIN)
        if stat is None and request.method == "POST": return
        policy = self.world.store.policies[stat.policy].name if stat else request.headers.get("x-storage-policy")
        path = f"/{request.parts[0]}/{account}/{versions.container_of(container)}"
        made = await self.application(request.child("PUT", path, headers={"x-storage-policy": policy} if policy else {}, trusted=True))
        if not made.ok: raise Refused(made.status)
        request.headers[ENABLED] = "True" if is_true(given) else "False"

    async def _show_switch(self, request: Request, response: Response, account: str, container: str, enabled: str) -> None:
        response.headers[HEADER] = enabled
        hidden = await self.world.facts.container(request, account, versions.container_of(container), fresh=True)
        if hidden is None: return
        response.headers["x-container-bytes-used"] = str(hidden.size + int(response.headers["x-container-bytes-used"]))

    async def _delete(self, request: Request, account: str, container: str) -> Response:
        stat = await self.world.facts.container(request, account, container)
        if stat is None or not stat.metadata.get(ENABLED): return await self.application(request)
        await request.check_access()
        path = f"/{request.parts[0]}/{account}/{versions.container_of(container)}"
        gone = await self.application(request.child("DELETE", path, trusted=True))
        if not gone.ok and gone.status != 404: return gone
        response = await self.application(request)
        if not response.ok: await self.application(request.child("PUT", path, trusted=True))
        return response

    async def _versions(self, request: Request, account: str, container: str, versioned: bool) -> list[Line]:
        """?versions: every version of every object."""
        asked = listing.query_of(request)
        try: marker = versions.hidden_marker(asked.marker, request.query.get("version_marker"), asked.reverse)
        except ValueError: raise Refused(400, "Invalid version_marker parameter", PLAIN) from None
        if request.query.get("version_marker") and not asked.marker: raise Refused(400, "version_marker param requires marker", PLAIN)
        base = {"limit": str(asked.limit), "reverse": "true" if asked.reverse else "false"}
        prefix = f"/{request.parts[0]}/{account}/"
        end = f"{versions.PREFIX}{asked.end_marker}\0" if asked.end_marker else ""
        if asked.delimiter: base["limit"] = str(LISTING)
        hidden = await self._lines(request, prefix + versions.container_of(container), {
            **base, "prefix": versions.PREFIX + asked.prefix, "marker": marker, "end_marker": end}) if versioned else []
        plain_marker = asked.marker + "\0" if asked.reverse and asked.marker and "version_marker" in request.query else asked.marker
        plain = await self._lines(request, prefix + container, {
            **base, "prefix": asked.prefix, "marker": plain_marker, "end_marker": asked.end_marker})
        merged = versions.merge(hidden, plain, asked.reverse, "" if asked.reverse else asked.marker)
        return versions.fold(merged, asked.prefix, asked.delimiter)[:asked.limit]

    async def _lines(self, request: Request, path: str, query: dict[str, str]) -> list[Line]:
        response = await self.application(request.child("GET", path, query=query, trusted=True))
        found: list[Line] = response.notes["listing"].lines if response.ok else []
        return found

    # -- objects

    async def _get(self, request: Request, where: Where) -> Response:
        response = await self.application(request)
        followed = response.headers.get("content-location", "")
        path = unquote(followed, errors="surrogateescape")
        _, _, container, name = [*path.split("/", 4)[1:], "", "", "", ""][:4]
        if container.startswith(versions.PREFIX) and name:
            shown, version = versions.parse(name)
            response.headers["x-object-version-id"] = version
            plain = "/".join((*path.split("/", 3)[:3], container.removeprefix(versions.PREFIX), shown))
            response.headers["content-location"] = f"{quoted(plain)}?version-id={version}"
        elif response.ok and not followed: response.headers["x-object-version-id"] = "null"
        return response

    async def _get_version(self, request: Request, where: Where, version: str) -> Response:
        await self.admit_owner(request)
        moment = 0 if version == "null" else self.moment_of(version)
        if version == "null":
            held = await self.current(request, where)
            if held.ok and LINKED in held.headers: raise Refused(404, headers={"x-object-version-id": "null"})
            path = "/" + "/".join(where)
        else: path = self.hidden_path(where, moment)
        asked = request.child(request.method, path, headers=request.headers, query=request.query, trusted=True)
        asked.notes = request.notes
        response = await self.application(asked)
        request.owner = True
        response.headers["x-object-version-id"] = version
        if response.headers.get("content-type") == MARKER:
            await response.close()
            return answer(404, media_type=MARKER, headers={"x-object-version-id": version})
        return response

    # -- for both halves

    async def current(self, request: Request, where: Where, method: str = "HEAD") -> Response:
        """The object itself, even if it is a link. A HEAD's response holds nothing."""
        response = await self.application(request.child(method, "/" + "/".join(where), query={"symlink": "get"}, trusted=True))
        if method == "HEAD": await response.close()
        return response

    def hidden_path(self, where: Where, moment: int) -> str:
        """The path of a version."""
        return f"/{where[0]}/{where[1]}/{versions.container_of(where[2])}/{versions.name_of(where[3], moment)}"

    def moment_of(self, version: str) -> int:
        """A version id as a timestamp. Raises Refused."""
        try: return timestamp.parse(version)
        except ValueError: raise Refused(400, "Invalid version parameter", PLAIN) from None

    async def admit(self, request: Request, where: Where, right: str) -> None:
        """Asks for a right in the container. Raises Refused."""
        stat = await self.world.facts.container(request, where[1], where[2])
        request.acl = stat.metadata.get(right) if stat else None
        await request.check_access()

    async def admit_owner(self, request: Request) -> None:
        """Only an owner of the account sees versions. Raises Refused."""
        request.acl = None
        await request.check_access()
        if not request.owner and request.deny: raise request.deny(request)


def _only_json(request: Request) -> None:
    """Versions are listed as JSON only. Raises Refused."""
    accept = request.headers.get("accept", "*/*")
    if request.query.get("format", "json") != "json" or ("*/*" not in accept and "json" not in accept): raise Refused(406)
    request.query["format"] = "json"
