"""Uploads from HTML forms: POST of multipart/form-data to a container's prefix, with a signature made by a key of the account or container.

The form's fields: redirect, max_file_size, max_file_count, expires, signature, then the files. Each file streams straight to its object.
Source: Object Storage API, "Form POST middleware".
"""
from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from pilvi.core import clock
from pilvi.objectstore.errors import Refused, reason
from pilvi.objectstore.middleware.tempurl import DIGESTS, digest_of
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, answer, split
from pilvi.objectstore.proxy.world import World

FIELD_BYTES = 4096
KEYS = ("temp-url-key", "temp-url-key-2")
PARAMETER = re.compile(r';\s*([a-z]+)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


class Parts:
    """The parts of a multipart body, one after another."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self.body, self.held, self.mark, self.ended = body, bytearray(b"\r\n"), b"\r\n--" + boundary, False

    async def _more(self) -> bool:
        try: self.held += await anext(self.body)
        except StopAsyncIteration: return False
        return True

    async def bytes(self) -> AsyncIterator[bytes]:
        """What is left of this part."""
        while (at := self.held.find(self.mark)) < 0:
            keep = len(self.mark) + 2
            if len(self.held) > keep:
                piece = bytes(self.held[:-keep])
                del self.held[:-keep]
                yield piece
            if not await self._more(): raise Refused(400, "FormPost: the body ends within a part", PLAIN)
        if at: yield bytes(self.held[:at])
        del self.held[:at + len(self.mark)]

    async def next(self) -> dict[str, str] | None:
        """The headers of the next part; None at the end. Raises Refused."""
        while len(self.held) < 2:
            if not await self._more(): raise Refused(400, "FormPost: the body is not complete", PLAIN)
        if self.held[:2] == b"--": return None
        while (at := self.held.find(b"\r\n\r\n")) < 0:
            if len(self.held) > FIELD_BYTES * 2 or not await self._more():
                raise Refused(400, "FormPost: a part's headers are not complete", PLAIN)
        lines = bytes(self.held[:at]).decode("utf-8", "surrogateescape").strip().split("\r\n")
        del self.held[:at + 4]
        return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


class FormPost:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["formpost"] = {"allowed_digests": sorted(DIGESTS.values()), "deprecated_digests": ["sha1"]}

    async def __call__(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        boundary = BOUNDARY.search(kind)
        if request.method != "POST" or not kind.lower().startswith("multipart/form-data") or not boundary or not request.parts[1]:
            return await self.application(request)
        parts, fields = Parts(request.body, boundary[1].encode()), dict[str, str]()
        results: list[Response] = []
        async for _ in parts.bytes(): pass
        while (headers := await parts.next()) is not None:
            about = dict(PARAMETER.findall(headers.get("content-disposition", "")))
            if "filename" not in about:
                fields[about.get("name", "").lower()] = await _field(parts)
                continue
            if not about["filename"]:
                async for _ in parts.bytes(): pass
                continue
            if len(results) >= int(fields.get("max_file_count", "0") or 0): return self._end(fields, 400, "max file count exceeded")
            made = await self._store(request, parts, fields, headers, about["filename"])
            results.append(made)
            if not made.ok: return self._end(fields, made.status, "")
        if not results: return self._end(fields, 400, "no files to process")
        return self._end(fields, 201, "")

    async def _store(self, request: Request, parts: Parts, fields: dict[str, str], headers: dict[str, str], filename: str) -> Response:
        scope = await self._scope(request, fields)
        path = request.path + ("" if request.parts[3] or request.path.endswith("/") else "/") + filename.rpartition("\\")[2]
        sent = {"transfer-encoding": "chunked"}
        if kind := fields.get("content-type") or headers.get("content-type"): sent["content-type"] = kind
        if fields.get("content-encoding"): sent["content-encoding"] = fields["content-encoding"]
        for name in ("x-delete-at", "x-delete-after"):
            if name.replace("-", "_") in fields: sent[name] = fields[name.replace("-", "_")]
        made = request.child("PUT", path, headers=sent, body=_limited(parts.bytes(), int(fields.get("max_file_size", "0"))), source="FP")

        async def authorize(asked: Request) -> None:
            _, account, container, _ = split(asked.path)
            if scope not in (account, f"{account}/{container}"): raise Refused(401)

        made.authorize, made.authorized_by = authorize, "formpost"
        return await self.application(made)

    async def _scope(self, request: Request, fields: dict[str, str]) -> str:
        """account or account/container: what the key of the signature opens. Raises Refused."""
        _, account, container, _ = request.parts
        given = digest_of(fields.get("signature", ""))
        wanted = ("redirect", "max_file_size", "max_file_count", "expires")
        if not all(fields.get(name, "0").isdecimal() for name in wanted[1:]): raise Refused(400, "FormPost: a number was expected", PLAIN)
        if int(fields.get("expires", "0")) < clock.now(): raise Refused(401, "FormPost: Form Expired", PLAIN)
        text = "\n".join((request.path, *(fields.get(name, "") for name in wanted)))
        of_account = await self.world.facts.account(request, account or "")
        of_container = await self.world.facts.container(request, account or "", container) if container else None
        holders = ((account, of_account, "x-account-meta-"), (f"{account}/{container}", of_container, "x-container-meta-"))
        for scope, stat, prefix in holders:
            for key in (stat.metadata.get(prefix + name) for name in KEYS) if stat and given else ():
                if not key or not given or not scope: continue
                right = hmac.new(key.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"), given[0]).hexdigest()
                if hmac.compare_digest(right.encode(), given[1].encode("utf-8", "replace")): return scope
        raise Refused(401, "FormPost: Invalid Signature", PLAIN)

    def _end(self, fields: dict[str, str], status: int, message: str) -> Response:
        where = fields.get("redirect")
        if not where: return answer(status, f"<h1>{status} {reason(status)}</h1>FormPost: {message or reason(status)}")
        joint = "&" if "?" in where else "?"
        return answer(303, "", headers={"location": f"{where}{joint}status={status}&message={quote(message)}"})


async def _field(parts: Parts) -> str:
    value = bytearray()
    async for piece in parts.bytes():
        value += piece
        if len(value) > FIELD_BYTES: raise Refused(400, "FormPost: a field is too long", PLAIN)
    return value.decode("utf-8", "surrogateescape")


async def _limited(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in body:
        size += len(piece)
        if size > most: raise Refused(413, "max_file_size exceeded", PLAIN)
        yield piece
