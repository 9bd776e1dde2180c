"""Encryption at rest, below everything else: what reaches the disks are encrypted bodies, etags and values of metadata; names are not.

On where the configuration has root secrets. What was stored before that stays readable, as does what older secrets encrypted.
"""
from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import Written
from pilvi.objectstore.proxy import cipher
from pilvi.objectstore.proxy.cipher import BodyKey, Keyring, NoSecret
from pilvi.objectstore.proxy.message import Handler, Ranged, Request, Response
from pilvi.objectstore.proxy.object_ import OVERRIDE
from pilvi.objectstore.proxy.world import World

BODY, ETAG = "x-object-sysmeta-crypto-body", "x-object-sysmeta-crypto-etag"
META, HIDDEN_META = "x-object-meta-", "x-object-transient-sysmeta-crypto-"
LISTED = "crypto="


class Decrypted:
    """An encrypted body, read as what it was."""

    def __init__(self, body: Ranged, key: bytes, iv: bytes) -> None:
        self.body, self.key, self.iv, self.length = body, key, iv, body.length

    async def read(self, begin: int, end: int) -> AsyncIterator[bytes]:
        context = cipher.stream(self.key, self.iv, begin)
        async for piece in self.body.read(begin, end): yield context.update(piece)

    async def close(self) -> None:
        await self.body.close()


class Encryption:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.keyring = application, Keyring(world.config.encryption_root_secrets)

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not self.keyring.newest or not (account and container): return await self.application(request)
        try:
            if not name: return self._list(await self.application(request), f"/{account}/{container}")
            path = f"/{account}/{container}/{name}"
            if request.method == "PUT": return await self._put(request, path, f"/{account}/{container}")
            if request.method == "POST": self._hide(request, path)
            response = await self.application(request)
            return self._show(response, path) if request.method in ("GET", "HEAD") else response
        except NoSecret: raise Refused(500) from None

    async def _put(self, request: Request, path: str, container: str) -> Response:
        kept, key = self.keyring.new_body(path)
        announced = request.headers.pop("etag", "").strip().strip('"').lower()
        words = ("etag", "size", "content-type")
        overrides = {word: request.headers.pop(OVERRIDE + word) for word in words if OVERRIDE + word in request.headers}
        self._hide(request, path)
        request.headers[BODY] = cipher.encode(kept)
        digest = hashlib.md5(usedforsecurity=False)
        plain, context = request.body, cipher.stream(key, cipher.raw(kept.iv))

        async def encrypted() -> AsyncIterator[bytes]:
            async for piece in plain:
                digest.update(piece)
                yield context.update(piece)

        def footer(written: Written) -> dict[str, str]:
            etag = digest.hexdigest()
            if announced and announced != etag: raise Refused(422)
            request.notes["etag"] = etag
            shown = self.keyring.seal(overrides.pop("etag", etag), container)
            return {ETAG: self.keyring.seal(etag, path), OVERRIDE + "etag": LISTED + shown,
                    **{OVERRIDE + name: value for name, value in overrides.items()}}

        request.body = encrypted()
        request.notes["footers"] = [*request.notes.get("footers", ()), footer]
        return await self.application(request)

    def _hide(self, request: Request, path: str) -> None:
        """Values of metadata are sealed."""
        for name in [name for name in request.headers if name.startswith(META)]:
            request.headers[HIDDEN_META + name.removeprefix(META)] = self.keyring.seal(request.headers.pop(name), path)

    def _show(self, response: Response, path: str) -> Response:
        headers = response.headers
        for name in [name for name in headers if name.startswith(HIDDEN_META)]:
            headers[META + name.removeprefix(HIDDEN_META)] = self.keyring.open(headers.pop(name), path)
        if ETAG in headers: headers["etag"] = self.keyring.open(headers.pop(ETAG), path)
        if BODY in headers:
            kept: BodyKey = cipher.decode(headers.pop(BODY))
            if (body := response.ranged) is not None:
                response.body = Decrypted(body, self.keyring.unwrap(kept, path), cipher.raw(kept.iv))
        return response

    def _list(self, response: Response, container: str) -> Response:
        listing = response.notes.get("listing")
        for line in listing.lines if listing and listing.kind == "container" else ():
            if line.get("hash", "").startswith(LISTED): line["hash"] = self.keyring.open(line["hash"].removeprefix(LISTED), container)
        return response
