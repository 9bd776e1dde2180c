"""Server-side copies: COPY with Destination, and PUT with X-Copy-From, become a GET of the source whose body is PUT.

Source: Object Storage API, "Copy object".
"""
from __future__ import annotations

from urllib.parse import unquote

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.conditional import apply
from pilvi.objectstore.proxy.constraints import FILE_BYTES
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, is_true, nothing, quoted
from pilvi.objectstore.proxy.world import World

NOT_COPIED = ("x-static-large-object", "x-object-manifest", "etag", "content-length", "last-modified", "x-timestamp", "accept-ranges",
              "content-range", "date", "x-symlink-target", "x-symlink-target-account", "x-symlink-target-etag", "x-symlink-target-bytes",
              "x-delete-after", "content-location", "x-parts-count", "x-manifest-etag", "x-object-version-id", "x-copied-from")
PARAMETERS = ("multipart-manifest", "symlink", "version-id", "part-number")
"""What a copy's query says of its source."""
OF_SOURCE = ("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-newest", "referer")


def place(header: str, value: str) -> tuple[str, str]:
    """(container, object) of a header. Raises Refused."""
    container, _, name = unquote(value, errors="surrogateescape").lstrip("/").partition("/")
    if not container or not name:
        raise Refused(412, f"{header} header must be of the form <container name>/<object name>", PLAIN)
    return container, name


def account_named(header: str, value: str) -> str:
    """The account of a header. Raises Refused."""
    name = unquote(value, errors="surrogateescape")
    if not name or "/" in name: raise Refused(412, f"{header} header must be an account name without slashes", PLAIN)
    return name


class Copy:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not (account and container and name): return await self.application(request)
        if request.method == "COPY": self._turn_round(request, account, container, name)
        if request.method == "PUT" and request.headers.get("x-copy-from"): return await self._copy(request)
        request.headers.pop("x-copy-from-account", None)
        return await self.application(request)

    def _turn_round(self, request: Request, account: str, container: str, name: str) -> None:
        """COPY to Destination is a PUT there from here."""
        headers = request.headers
        if not headers.get("destination"): raise Refused(412, "Destination header required", PLAIN)
        to_container, to_name = place("Destination", headers.pop("destination"))
        given = headers.pop("destination-account", None)
        to_account = account if given is None else account_named("Destination-Account", given)
        headers["x-copy-from"] = quoted(f"{container}/{name}")
        headers["x-copy-from-account"] = quoted(account, "")
        headers.setdefault("content-length", "0")
        request.method, request.path = "PUT", f"/{request.parts[0]}/{to_account}/{to_container}/{to_name}"
        request.notes["copy verb"] = True

    async def _copy(self, request: Request) -> Response:
        headers = request.headers
        if request.length not in (0, None): raise Refused(400, "Copy requests require a zero byte body", PLAIN)
        container, name = place("X-Copy-From", headers.pop("x-copy-from"))
        given = headers.pop("x-copy-from-account", None)
        account = request.parts[1] if given is None else account_named("X-Copy-From-Account", given)
        source = await self._source(request, f"/{request.parts[0]}/{account}/{container}/{name}")
        try:
            if not source.ok: return source
            length = source.headers.get("content-length", "")
            if not length.isdigit() or int(length) > FILE_BYTES: raise Refused(413)
            copied = self._prepare(request, source, int(length))
            response = await self.application(request)
            if response.ok:
                response.headers |= copied
                response.headers |= {"x-copied-from": quoted(f"{container}/{name}"), "x-copied-from-account": quoted(account or "", "")}
                if "last-modified" in source.headers: response.headers["x-copied-from-last-modified"] = source.headers["last-modified"]
            return response
        finally:
            if source.ok: await source.close()

    async def _source(self, request: Request, path: str) -> Response:
        given = {name: request.headers.pop(name) for name in OF_SOURCE if name in request.headers}
        if "if-none-match" in given and not request.notes.get("copy verb"): request.headers["if-none-match"] = given.pop("if-none-match")
        given.setdefault("x-newest", "true")
        query = {name: value for name, value in request.query.items() if name in PARAMETERS}
        if query.get("multipart-manifest") == "get": query["format"] = "raw"
        asked = request.child("GET", path, headers=given, query=query, source="COPY")
        response = await self.application(asked)
        return await apply(asked, response)

    def _prepare(self, request: Request, source: Response, length: int) -> dict[str, str]:
        """Makes the request a PUT of the source's bytes; the metadata that the copy gets, for the answer."""
        headers = request.headers
        fresh = is_true(headers.pop("x-fresh-metadata", None))
        copied = {name: value for name, value in source.headers.items() if name not in NOT_COPIED and not name.startswith("x-backend-")
                  and "sysmeta" not in name and (not fresh or name == "content-type")}
        request.headers = {**copied, **{name: value for name, value in headers.items() if value or name not in copied}}
        raw = request.query.get("multipart-manifest") == "get"
        request.query = {name: value for name, value in request.query.items() if name not in PARAMETERS}
        if raw and is_true(source.headers.get("x-static-large-object")): request.query["multipart-manifest"] = "put"
        elif raw and "x-object-manifest" in source.headers: request.headers["x-object-manifest"] = source.headers["x-object-manifest"]
        elif source.status == 200 and not source.notes.get("large") and "etag" not in headers:
            request.headers["etag"] = source.headers.get("etag", "").strip('"')
        for name in ("x-symlink-target", "x-symlink-target-account", "x-symlink-target-etag"):  # ?symlink=get: the link itself is copied
            if name in source.headers: request.headers[name] = source.headers[name]
        request.headers.pop("transfer-encoding", None)
        request.headers["content-length"] = str(length)
        request.body = source.pieces() if length else nothing()
        shown = ("x-object-meta-", "content-encoding", "content-disposition", "x-delete-at")
        return {name: value for name, value in request.headers.items() if name.startswith(shown)}
