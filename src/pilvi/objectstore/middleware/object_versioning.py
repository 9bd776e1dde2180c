"""Versioning with X-Versions-Enabled: every write makes a version in a hidden container, and the object is a link to the newest.

Nothing is copied when an object is overwritten, and a crash between the version and its link leaves the old object in place and a version
that nothing points to, which ?versions lists.
Source: Object Storage API, "Object versioning".
"""
from __future__ import annotations

from typing import Any

from pilvi.core import clock
from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.middleware.symlink import EMPTY, HIDDEN, KEPT_BYTES, KEPT_ETAG, KEPT_TARGET
from pilvi.objectstore.middleware.version_reading import VersionReading
from pilvi.objectstore.node.interface import Listed
from pilvi.objectstore.proxy import versions
from pilvi.objectstore.proxy.constraints import delete_at
from pilvi.objectstore.proxy.message import PLAIN, Request, Response, answer, nothing, quoted
from pilvi.objectstore.proxy.object_ import OVERRIDE
from pilvi.objectstore.proxy.versions import MARKER

LINKED = "x-object-sysmeta-versions-link"
"""On an object that is a link to a version: the version's id."""
WITH_LINK = ("x-delete-at", "content-type")


class ObjectVersioning(VersionReading):
    """Middleware."""

    async def change(self, request: Request, where: tuple[str, str, str, str], version: str | None, enabled: bool) -> Response:
        """PUT, POST and DELETE in a container that has versions."""
        if request.method == "POST": return await self._post(request, where, version)
        if request.method == "PUT" and version is not None: return await self._restore(request, where, version)
        if request.method == "DELETE" and version is not None: return await self._delete_version(request, where, version)
        if not enabled:
            return await self.application(request)
        await self.admit(request, where, "x-container-write")
        await self._keep_plain(request, where)
        return await (self._put(request, where) if request.method == "PUT" else self._mark_deleted(request, where))

    async def _put(self, request: Request, where: tuple[str, str, str, str]) -> Response:
        """A new version, then the link to it."""
        moment, size = timestamp.now(), [0]
        hidden = self.hidden_path(where, moment)
        made = request.child("PUT", hidden, headers=dict(request.headers), query=request.query, body=request.body, trusted=True)
        made.notes = request.notes | {"timestamp": moment, "uploaded": lambda written: size.__setitem__(0, written.size)}
        delete_at(request, clock.now())
        for name in ("if-none-match", "x-delete-at", "x-delete-after"): made.headers.pop(name, None)  # a link expires, its version stays
        shown, shown_size = request.headers.get(OVERRIDE + "etag"), request.headers.get(OVERRIDE + "size")
        if request.headers.get("if-none-match"):
            held = await self.current(request, where)
            if held.ok: raise Refused(412)
        response = await self.application(made)
        if not response.ok: return response
        etag = response.headers.get("etag", "").strip('"')
        await self._link(request, where, moment, request.headers, Listed(shown or etag, int(shown_size or size[0])), etag, size[0])
        response.headers["x-object-version-id"] = timestamp.text(moment)
        return response

    async def _link(self, request: Request, where: tuple[str, str, str, str], moment: int, headers: dict[str, str], listed: Listed,
                    etag: str, size: int) -> None:
        """Makes the object a link to a version. `headers` are those the version was put with; `listed`: what listings say of it."""
        container, _, name = self.hidden_path(where, moment).split("/", 3)[3].partition("/")
        link: dict[str, str] = {name_: headers[name_] for name_ in WITH_LINK if headers.get(name_)}
        link |= {KEPT_TARGET: quoted(f"{container}/{name}"), HIDDEN: "true", KEPT_ETAG: etag, KEPT_BYTES: str(size), "content-length": "0",
                 LINKED: timestamp.text(moment), "etag": EMPTY, 
                 OVERRIDE + "etag": f"{listed.etag}{versions.link_parameters(timestamp.text(moment), listed.size or 0)}"}
        asked = request.child("PUT", "/" + "/".join(where), headers=link, body=nothing(), trusted=True)
        response = await self.application(asked)
        if not response.ok: raise Refused(response.status)

    async def _keep_plain(self, request: Request, where: tuple[str, str, str, str]) -> None:
        """What is there from a time without versioning becomes a version before it is overwritten."""
        held = await self.current(request, where, method="GET")
        if not held.ok or LINKED in held.headers:
            await held.close()
            return
        try:
            moment = timestamp.parse(held.headers["x-backend-data-timestamp"])
            headers = {name: value for name, value in held.headers.items() if name.startswith(("x-object-", "content-", "x-symlink-"))
                       or name in ("cache-control", "expires", "etag", "x-static-large-object")}
            if "x-object-sysmeta-slo-etag" in headers:
                headers[OVERRIDE + "etag"] = f"{headers['etag']}; slo_etag={headers['x-object-sysmeta-slo-etag']}"
                headers[OVERRIDE + "size"] = headers.get("x-object-sysmeta-slo-size", "")
            headers.pop("content-location", None)
            asked = request.child("PUT", self.hidden_path(where, moment), headers=headers, body=held.pieces(), trusted=True)
            asked.notes["timestamp"] = moment
            response = await self.application(asked)
            if not response.ok and response.status != 409: raise Refused(response.status)
        finally: await held.close()

    async def _mark_deleted(self, request: Request, where: tuple[str, str, str, str]) -> Response:
        moment = timestamp.now()
        asked = request.child("PUT", self.hidden_path(where, moment), headers={"content-type": MARKER, "content-length": "0"}, trusted=True)
        asked.notes["timestamp"] = moment
        marked = await self.application(asked)
        if not marked.ok: return marked
        gone = await self.application(request.child("DELETE", "/" + "/".join(where), trusted=True))
        gone.headers |= {"x-object-version-id": timestamp.text(moment), "x-backend-content-type": MARKER}
        return gone

    async def _post(self, request: Request, where: tuple[str, str, str, str], version: str | None) -> Response:
        """Metadata go to the version; its link follows in what listings and the expirer look at."""
        if version is not None: await self.admit_owner(request)
        await self.admit(request, where, "x-container-write")
        held = await self.current(request, where)
        linked = held.headers.get(LINKED) if held.ok else None
        wanted = linked if version is None else version
        if wanted in (None, "null"):
            if version == "null" and linked: raise Refused(404)
            return await self.application(request)
        moment = self.moment_of(wanted)
        made = request.child("POST", self.hidden_path(where, moment), headers=dict(request.headers), trusted=True)
        if linked != timestamp.text(moment): return await self.application(made)
        link = request.child("POST", request.path, headers=dict(request.headers), trusted=True)
        await self.application(link)
        for name in ("x-delete-at", "x-delete-after"): made.headers.pop(name, None)
        response = await self.application(made)
        if response.ok: response.headers["x-object-version-id"] = wanted
        return response

    async def _restore(self, request: Request, where: tuple[str, str, str, str], version: str) -> Response:
        """PUT ?version-id=: that version is the object again."""
        if version == "null": raise Refused(400, "Invalid version parameter", PLAIN)
        moment = self.moment_of(version)
        await self.admit_owner(request)
        if request.length not in (0, None): raise Refused(400, "PUT version-id requests require a zero byte body", PLAIN)
        async for _ in request.body: raise Refused(400, "PUT version-id requests require a zero byte body", PLAIN)
        await self._keep_plain(request, where)
        held = await self.application(request.child("HEAD", self.hidden_path(where, moment), query={"symlink": "get"}, trusted=True))
        await held.close()
        if not held.ok or held.headers.get("content-type") == MARKER: raise Refused(404)
        headers: dict[str, Any] = {"content-type": held.headers["content-type"], "x-delete-at": held.headers.get("x-delete-at", "")}
        etag, size = held.headers["etag"].strip('"'), int(held.headers["content-length"])
        listed = Listed(etag, size)
        if "x-object-sysmeta-slo-etag" in held.headers:
            listed = Listed(f"{etag}; slo_etag={held.headers['x-object-sysmeta-slo-etag']}", int(held.headers["x-object-sysmeta-slo-size"]))
        await self._link(request, where, moment, headers, listed, etag, size)
        return answer(201, b"", headers={"x-object-version-id": version, "etag": held.headers["etag"]})

    async def _delete_version(self, request: Request, where: tuple[str, str, str, str], version: str) -> Response:
        """DELETE ?version-id=: that version is gone for good; if the object is a link to it, the object is too."""
        await self.admit_owner(request)
        path = "/" + "/".join(where)
        if version == "null":
            response = await self.application(request.child("DELETE", path, trusted=True))
            response.headers["x-object-version-id"] = "null"
            return response
        moment = self.moment_of(version)
        held = await self.current(request, where)
        if held.ok and held.headers.get(LINKED) == timestamp.text(moment):
            await self.application(request.child("DELETE", path, trusted=True))
        elif held.ok: request.notes["current"] = held.headers.get(LINKED, "null")
        response = await self.application(request.child("DELETE", self.hidden_path(where, moment), trusted=True))
        response.headers["x-object-version-id"] = version
        if "current" in request.notes: response.headers["x-object-current-version-id"] = request.notes["current"]
        return response
