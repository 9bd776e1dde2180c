"""A request and a response on their way through the chain of middleware; names of headers are lower case, values text (UTF-8).

A body that can be read from any place is `Ranged`; then conditions and ranges are looked at in one place (conditional.py), whatever the
bytes are made of (a file, segments, decrypted pieces). Whoever drops a response closes it: it may hold a file open.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote

from pilvi.core.context import ANONYMOUS, Identity
from pilvi.objectstore import errors
from pilvi.objectstore.errors import Refused

HTML = "text/html; charset=UTF-8"
PLAIN = "text/plain; charset=UTF-8"


class Ranged(Protocol):
    """Bytes that can be read from any place, several times."""
    length: int

    def read(self, begin: int, end: int) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


async def nothing() -> AsyncIterator[bytes]:
    """A body without bytes."""
    return
    yield b""


async def once(data: bytes) -> AsyncIterator[bytes]:
    """A body of one piece."""
    if data: yield data


@dataclass(slots=True)
class Request:
    """What is asked. `path` is decoded (bytes that are no UTF-8 as surrogates). What middleware says to those after it is below."""
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: AsyncIterator[bytes] = field(default_factory=nothing)
    client: str = ""
    base: str = ""
    """scheme://host as the client wrote it."""
    trans_id: str = ""
    raw_path: str = ""
    query_string: str = ""

    identity: Identity = ANONYMOUS
    groups: tuple[str, ...] = ()
    """TempAuth's groups of the user."""
    authorize: Callable[[Request], Awaitable[None]] | None = None
    """Raises Refused unless the caller may do this, given `acl`; None: already allowed."""
    deny: Callable[[Request], Refused] | None = None
    """The refusal in the manner of who authenticated."""
    acl: str | None = None
    owner: bool = False
    """May the caller see and set what only an account's owner may (ACLs, keys)?"""
    reseller: bool = False
    authorized_by: str = ""
    """tempurl or formpost: a signature, not a user, opens this."""
    source: str = ""
    """The middleware that made this request, for the record."""
    reserved_names: bool = False
    """May it name what is hidden behind a NUL?"""
    known: dict[Any, Any] = field(default_factory=dict)
    """Facts on accounts and containers found on behalf of this client's request; shared with sub-requests."""
    backend: dict[str, str] = field(default_factory=dict)
    """What only middleware may say to the end of the chain (x-backend-*)."""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, str | None, str | None, str | None]:
        """(version, account, container, object) of the path."""
        return split(self.path)

    @property
    def length(self) -> int | None:
        """Bytes the body has, None if it comes in chunks. Raises Refused."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower(): return None
        given = self.headers.get("content-length")
        if given is None: return None
        if not (given.isascii() and given.isdigit()): raise Refused(400, "Invalid Content-Length header value", PLAIN)
        return int(given)

    def child(self, method: str, path: str, *, headers: dict[str, str] | None = None, query: dict[str, str] | None = None,
              body: AsyncIterator[bytes] | None = None, source: str = "", trusted: bool = False) -> Request:
        """Another request on behalf of the same caller, without this one's headers. `trusted`: allowed whoever the caller is."""
        made = Request(method, path, query or {}, headers or {}, body or nothing(), self.client, self.base, self.trans_id,
                       identity=self.identity, groups=self.groups, authorize=None if trusted else self.authorize, deny=self.deny,
                       owner=trusted or self.owner, reseller=self.reseller, authorized_by=self.authorized_by,
                       source=source or self.source, reserved_names=trusted or self.reserved_names, known=self.known)
        if trusted: made.acl = None
        return made

    async def check_access(self) -> None:
        """Asks whether the caller may do this. Raises Refused."""
        if self.authorize is not None: await self.authorize(self)


@dataclass(slots=True)
class Response:
    """What goes back."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | Ranged = b""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the end of the chain says to middleware (system metadata, the etag to compare); no client sees it."""
    on_close: Callable[[], Awaitable[None]] | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def ranged(self) -> Ranged | None:
        """The body if it can be read from any place."""
        return self.body if hasattr(self.body, "read") else None  # type: ignore[return-value]

    async def read(self, most: int = 64 << 20) -> bytes:
        """The whole body; closes the response. Raises Refused for more than `most` bytes."""
        try:
            if isinstance(self.body, bytes): return self.body
            pieces, size = [], 0
            async for piece in self.pieces():
                size += len(piece)
                if size > most: raise Refused(413)
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            await self.close()

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        if isinstance(self.body, bytes): return once(self.body)
        ranged = self.ranged
        return ranged.read(0, ranged.length) if ranged else self.body  # type: ignore[return-value]

    async def close(self) -> None:
        """Gives back what the body holds. Repeatable."""
        closing, self.on_close = self.on_close, None
        body, self.body = self.body, b""
        if not isinstance(body, bytes):
            end = getattr(body, "close", None) or getattr(body, "aclose", None)
            if end: await end()
        if closing: await closing()


Handler = Callable[[Request], Awaitable[Response]]
"""The rest of the chain."""


def refusal(failure: Refused) -> Response:
    """The response that tells a refusal."""
    return Response(failure.status, {"content-type": failure.media_type, **failure.headers}, failure.body())


def answer(status: int, text: str | bytes | None = None, media_type: str = HTML, headers: dict[str, str] | None = None) -> Response:
    """A response with a page or a text."""
    body = errors.page(status) if text is None else text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return Response(status, {"content-type": media_type, **(headers or {})}, body)


def split(path: str) -> tuple[str, str | None, str | None, str | None]:
    """(version, account, container, object); an object's name may hold slashes. An empty part in the middle makes all None."""
    pieces = path.split("/", 4)
    if len(pieces) < 2 or pieces[0]: return "", None, None, None
    version, account, container, name = [*pieces[1:], "", "", ""][:4]
    if (name and not container) or (container and not account): return version, None, None, None
    return version, account or None, container or None, name or None


def quoted(text: str, safe: str = "/~") -> str:
    """Percent-encoded, whatever bytes it holds."""
    return quote(text, safe=safe, encoding="utf-8", errors="surrogateescape")


def parse_query(text: str) -> dict[str, str]:
    """The parameters of a query; the last of a repeated name counts."""
    return dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))


def is_true(value: str | None) -> bool:
    """Whether a header or parameter says yes."""
    return value is not None and value.lower() in ("true", "1", "yes", "on", "t", "y")


def size_of(text: str) -> int:
    """Bytes a name or value has on the wire."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def well_formed(text: str, *, nul: bool = False) -> bool:
    """Is it UTF-8 (and without NUL)?"""
    if not nul and "\0" in text: return False
    try: text.encode()
    except UnicodeEncodeError: return False
    return True
