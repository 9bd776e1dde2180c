"""Temporary URLs: a signature made with a key of the account or container opens one object, or all with a prefix, for a while.

Source: Object Storage API, "Temporary URL middleware".
"""
from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote

from pilvi.core import clock
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, split
from pilvi.objectstore.proxy.world import World

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
DIGESTS = {40: "sha1", 64: "sha256", 128: "sha512"}
"""{hex digits of a signature: which hash}"""
FORBIDDEN = ("x-object-manifest", "x-symlink-target")
KEYS = ("temp-url-key", "temp-url-key-2")


def signature(key: str, digest: str, method: str, expires: int, path: str, ip_range: str = "") -> str:
    """What the client has to show, in hex."""
    text = (f"ip={ip_range}\n" if ip_range else "") + f"{method}\n{expires}\n{path}"
    return hmac.new(key.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"), digest).hexdigest()


def expiry(text: str) -> int:
    """Seconds since 1970 of `temp_url_expires`, a number or ISO 8601; 0 where it is neither."""
    try: return int(text)
    except ValueError: pass
    try: moment = datetime.fromisoformat(text)
    except ValueError: return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def digest_of(sig: str) -> tuple[str, str] | None:
    """(hash, hex) of a signature: hex, or `sha256:` and base64; None where it is neither."""
    name, colon, rest = sig.partition(":")
    if not colon: return (DIGESTS[len(sig)], sig.lower()) if len(sig) in DIGESTS else None
    try: raw = base64.urlsafe_b64decode((rest + "=" * (-len(rest) % 4)).replace("+", "-").replace("/", "_"))
    except (binascii.Error, ValueError): return None
    return (name, raw.hex()) if name in DIGESTS.values() else None


def within(client: str, allowed: str) -> bool:
    """Is the address in the range? Raises nothing."""
    try: return ipaddress.ip_address(client) in ipaddress.ip_network(allowed, strict=False)
    except ValueError: return False


class TempURL:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["tempurl"] = {
            "methods": list(METHODS), "incoming_remove_headers": ["x-timestamp", "x-open-expired"], "incoming_allow_headers": [],
            "outgoing_remove_headers": ["x-object-meta-*"], "outgoing_allow_headers": ["x-object-meta-public-*"],
            "allowed_digests": sorted(DIGESTS.values()), "deprecated_digests": ["sha1"]}

    async def __call__(self, request: Request) -> Response:
        query = request.query
        if request.method == "OPTIONS" or not {"temp_url_sig", "temp_url_expires"} & query.keys(): return await self.application(request)
        given, ip_range, prefix = digest_of(query.get("temp_url_sig", "")), query.get("temp_url_ip_range", ""), query.get("temp_url_prefix")
        expires = expiry(query.get("temp_url_expires", ""))
        version, account, container, name = request.parts
        if given is None or expires < clock.now() or not (account and container) or request.method not in METHODS:
            raise self._refused(request)
        if not name and (prefix != "" or request.method not in ("GET", "HEAD")): raise self._refused(request)
        if "temp_url_ip_range" in query and not within(request.client, ip_range): raise self._refused(request)
        if prefix is not None and not (name or "").startswith(prefix): raise self._refused(request)
        path = request.path if prefix is None else f"prefix:/{version}/{account}/{container}/{prefix}"
        scope = await self._scope(request, *given, expires, path, ip_range)
        if scope is None: raise self._refused(request)
        for header in FORBIDDEN:
            if header in request.headers: raise Refused(400, f"The header {header!r} is not allowed in this tempurl", PLAIN)
        request.headers.pop("x-open-expired", None)
        self._open(request, scope)
        response = await self.application(request)
        return self._dress(request, response, expires)

    async def _scope(self, request: Request, digest: str, shown: str, expires: int, path: str, ip_range: str) -> str | None:
        """account or account/container: how far the key that made the signature reaches; None: none made it."""
        _, account, container, _ = request.parts
        assert account and container
        methods = (request.method,) if request.method != "HEAD" else ("HEAD", "GET", "PUT", "POST")
        of_container = await self.world.facts.container(request, account, container)
        of_account = await self.world.facts.account(request, account)
        for scope, keys in ((account, _keys(of_account.metadata if of_account else {}, "x-account-meta-")),
                            (f"{account}/{container}", _keys(of_container.metadata if of_container else {}, "x-container-meta-"))):
            for key in keys:
                for method in methods:
                    right = signature(key, digest, method, expires, path, ip_range)
                    if hmac.compare_digest(right.encode(), shown.encode("utf-8", "replace")): return scope
        return None

    def _open(self, request: Request, scope: str) -> None:
        async def authorize(asked: Request) -> None:
            _, account, container, name = split(asked.path)
            if scope not in (account, f"{account}/{container}"): raise self._refused(asked)
            if not name and asked.source not in ("SW", "DLO"): raise self._refused(asked)  # a listing only as a page, or behind a manifest

        request.authorize, request.deny = authorize, self._refused
        request.authorized_by = "tempurl"

    def _refused(self, request: Request) -> Refused:
        return Refused(401, "" if request.method == "HEAD" else "401 Unauthorized: Temp URL invalid\n", PLAIN,
                       {"www-authenticate": f'Swift realm="{request.parts[1] or "unknown"}"'})

    def _dress(self, request: Request, response: Response, expires: int) -> Response:
        """The answer as who has only the URL may see it."""
        headers = response.headers
        for header in list(headers):
            if header.startswith("x-object-meta-") and not header.startswith("x-object-meta-public-"): del headers[header]
        if request.method not in ("GET", "HEAD") or not response.ok: return response
        filename, inline = request.query.get("filename"), "inline" in request.query
        if inline: headers["content-disposition"] = disposition("inline", filename) if filename else "inline"
        elif filename or "content-disposition" not in headers:
            headers["content-disposition"] = disposition("attachment", filename or request.path.rstrip("/").rpartition("/")[2])
        headers["expires"] = formatdate(expires, usegmt=True)
        return response


def disposition(kind: str, filename: str) -> str:
    """A Content-Disposition with a name of any letters. Source: RFC 6266."""
    plain = quote(filename, safe=" /", errors="surrogateescape")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, errors='surrogateescape')}"


def _keys(metadata: dict[str, str], prefix: str) -> Iterable[str]:
    return [metadata[prefix + key] for key in KEYS if metadata.get(prefix + key)]
