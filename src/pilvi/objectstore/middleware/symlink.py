"""Symbolic links: an empty object with X-Symlink-Target reads as another one; with X-Symlink-Target-Etag only while that one is unchanged.

What a link points to lies in its system metadata; versions (object_versioning.py) are links into a hidden container.
Source: Object Storage API, "Symlinks".
"""
from __future__ import annotations

from urllib.parse import unquote

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, quoted, size_of, split, well_formed
from pilvi.objectstore.proxy.object_ import OVERRIDE
from pilvi.objectstore.proxy.world import World

MOST_LINKS = 2
TARGET, ACCOUNT, ETAG = "x-symlink-target", "x-symlink-target-account", "x-symlink-target-etag"
KEPT_TARGET, KEPT_ACCOUNT = "x-object-sysmeta-symlink-target", "x-object-sysmeta-symlink-target-account"
KEPT_ETAG, KEPT_BYTES = "x-object-sysmeta-symlink-target-etag", "x-object-sysmeta-symlink-target-bytes"
HIDDEN = "x-object-sysmeta-allow-reserved-names"
"""On a link that middleware made to a name that clients may not write."""
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


class Symlinks:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        world.info["symlink"] = {"symloop_max": MOST_LINKS, "static_links": True}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if container and not name and request.method == "GET": return self._list(await self.application(request), account or "")
        if not name: return await self.application(request)
        if request.method in ("GET", "HEAD"):
            if request.query.get("symlink") == "get": return _shown(await self.application(request))
            return await self._follow(request)
        if request.method == "PUT" and TARGET in request.headers: return await self._put(request)
        if request.method == "POST": return await self._post(request)
        return await self.application(request)

    def _list(self, response: Response, account: str) -> Response:
        """A listing's etag of a link tells where it points."""
        listing = response.notes.get("listing")
        for line in listing.lines if listing else ():
            if "symlink_target" not in line.get("hash", ""): continue
            first, *rest = (part.strip() for part in line["hash"].split(";"))
            facts = dict(part.partition("=")[::2] for part in rest)
            owner = facts.pop("symlink_target_account", None) or quoted(account, "")
            line["symlink_path"] = f"/v1/{owner}/{facts.pop('symlink_target')}"
            if "symlink_target_etag" in facts: line["symlink_etag"] = facts.pop("symlink_target_etag")
            if "symlink_target_bytes" in facts: line["symlink_bytes"] = int(facts.pop("symlink_target_bytes"))
            line["hash"] = "; ".join([first, *(f"{key}={value}" for key, value in facts.items())])
        return response

    async def _follow(self, request: Request, *, etag: str | None = None, soft: bool = True) -> Response:
        """What the link leads to. `etag`: what it must have; `soft` False: stop at a link that does not fix its target's etag."""
        response, asked = await self.application(request), request
        hops, hidden = 0, False
        while True:
            headers = response.headers
            target = headers.get(KEPT_TARGET)
            fixed = headers.get(KEPT_ETAG)
            if not response.ok or not target or not (fixed or soft): break
            if etag and etag != ((not hidden and fixed) or headers.get("etag")): await _conflict(response, asked)
            hidden = HIDDEN in headers
            hops += not hidden
            if hops > MOST_LINKS:
                await response.close()
                raise Refused(409, f"Too many levels of symbolic links, maximum allowed is {MOST_LINKS}", PLAIN)
            await response.close()
            etag = fixed or etag if fixed else None
            asked = _next(request, asked, headers, target)
            response = await self.application(asked)
        if etag and response.ok and response.headers.get("etag", "").strip('"') != etag: await _conflict(response, asked)
        if asked is not request:
            response.headers["content-location"] = quoted(asked.path)
            request.notes["followed"] = asked
        return response

    async def _put(self, request: Request) -> Response:
        headers = request.headers
        container, name, account = _target(request)
        own = split(request.path)
        path = f"/{own[0]}/{account or own[1]}/{container}/{name}"
        if path == request.path: raise Refused(400, "Symlink cannot target itself", PLAIN)
        await _must_be_empty(request)
        etag = headers.pop(ETAG, "").strip().strip('"') or None
        headers.pop(ACCOUNT, None)
        del headers[TARGET]
        kind = headers.get("content-type")
        parameters = [f"symlink_target={quoted(container + '/' + name)}"]
        if etag: parameters += await self._examine(request, path, etag, kind is None)
        elif kind is None: headers["content-type"] = "application/symlink"
        headers |= {KEPT_TARGET: quoted(f"{container}/{name}"), "etag": EMPTY, "content-length": "0"}
        if account:
            headers[KEPT_ACCOUNT] = quoted(account, "")
            parameters.append(f"symlink_target_account={quoted(account, '')}")
        headers[OVERRIDE + "etag"] = "; ".join([EMPTY, *parameters, *headers.pop(OVERRIDE + "more", "").split("; ")]).rstrip("; ")
        return await self.application(request)

    async def _examine(self, request: Request, path: str, etag: str, guess: bool) -> list[str]:
        """A static link's target must be there and be what the client thinks. Raises Refused."""
        asked = request.child("HEAD", path, source="SYM")
        asked.reserved_names = request.reserved_names
        found = await self._follow(asked, soft=False)
        await found.close()
        where = {"content-location": quoted(asked.path)}
        if found.status == 404: raise Refused(409, "X-Symlink-Target does not exist", PLAIN, where)
        if not found.ok: raise Refused(found.status, headers={k: v for k, v in found.headers.items() if k == "www-authenticate"})
        there = found.headers.get("etag", "").strip('"')
        if there != etag:
            raise Refused(409, f"Object Etag {there!r} does not match X-Symlink-Target-Etag header {etag!r}", PLAIN, where)
        if guess: request.headers["content-type"] = found.headers.get("content-type", "application/octet-stream")
        size = found.headers.get("x-object-sysmeta-slo-size") or found.headers.get("content-length", "0")
        request.headers |= {KEPT_ETAG: there, KEPT_BYTES: size}
        slo_etag = found.headers.get("x-object-sysmeta-slo-etag")
        more = [f"slo_etag={slo_etag}"] if slo_etag else []
        return [f"symlink_target_etag={there}", f"symlink_target_bytes={size}", *more]

    async def _post(self, request: Request) -> Response:
        """A link takes the metadata itself, and says where its target is."""
        if TARGET in request.headers: raise Refused(400, "A PUT request is required to set a symlink target", PLAIN)
        asked = request.child("HEAD", request.path, headers={k: v for k, v in request.headers.items() if k == "x-open-expired"})
        asked.authorize, asked.reserved_names = None, request.reserved_names
        found = await self.application(asked)
        await found.close()
        target = found.headers.get(KEPT_TARGET) if found.ok else None
        if not target: return await self.application(request)
        response = await self.application(request)
        if not response.ok: return response
        path = _next(request, request, found.headers, target).path
        raise Refused(307, "The requested POST was sent to a symlink. POST directly to the target to apply requested metadata.", PLAIN,
                      {"location": quoted(path), **_facts(found)})


async def _conflict(response: Response, asked: Request) -> None:
    await response.close()
    raise Refused(409, "X-Symlink-Target-Etag headers do not match", PLAIN, {"content-location": quoted(asked.path)})


def _next(first: Request, asked: Request, headers: dict[str, str], target: str) -> Request:
    """The request for a link's target."""
    version, account, _, _ = split(asked.path)
    owner = unquote(headers[KEPT_ACCOUNT], errors="surrogateescape") if headers.get(KEPT_ACCOUNT) else account
    path = f"/{version}/{owner}/{unquote(target, errors='surrogateescape')}"
    made = first.child(first.method, path, headers=dict(first.headers), source="SYM")
    if HIDDEN in headers: made.reserved_names, made.authorize = True, None  # whoever may read the object may read its version
    made.notes = first.notes
    return made


def _target(request: Request) -> tuple[str, str, str | None]:
    """(container, object, account or None) of the headers. Raises Refused."""
    value = unquote(request.headers[TARGET], errors="surrogateescape")
    container, _, name = value.removeprefix("/").partition("/")
    if not container or not name or not well_formed(value, nul=request.reserved_names) or value.startswith("/"):
        raise Refused(412, "X-Symlink-Target header must be of the form <container name>/<object name>", PLAIN)
    given = request.headers.get(ACCOUNT)
    if given is None: return container, name, None
    account = unquote(given, errors="surrogateescape")
    if "/" in account or not account or size_of(account) > 256: raise Refused(412, "Account name cannot contain slashes", PLAIN)
    return container, name, account


async def _must_be_empty(request: Request) -> None:
    if request.length not in (0, None): raise Refused(400, "Symlink requests require a zero byte body", PLAIN)
    if request.length is None:
        if "transfer-encoding" not in request.headers: raise Refused(411, "Missing Content-Length header", PLAIN)
        async for piece in request.body:
            if piece: raise Refused(400, "Symlink requests require a zero byte body", PLAIN)
        del request.headers["transfer-encoding"]


def _shown(response: Response) -> Response:
    """The link itself, for ?symlink=get."""
    response.headers |= _facts(response)
    return response


def _facts(response: Response) -> dict[str, str]:
    shown = {KEPT_TARGET: TARGET, KEPT_ACCOUNT: ACCOUNT, KEPT_ETAG: ETAG, KEPT_BYTES: "x-symlink-target-bytes"}
    return {header: response.headers[kept] for kept, header in shown.items() if response.headers.get(kept)}
