"""Unpacking an archive into containers: PUT ?extract-archive=tar, tar.gz or tar.bz2. It is read as it arrives; nothing is put aside.

A thread of the request's own reads the archive; what it finds is uploaded by the event loop. Only plain files count. Five hundred bytes
can be a gigabyte of zeros (bzip2), a header as long as it says, and tarfile remembers what it saw: each of these is bounded here.
Source: Object Storage API, "Bulk operations: extract archive".
"""
from __future__ import annotations

import asyncio
import bz2
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any, Self

from pilvi.objectstore.errors import ClientGone, Refused, reason
from pilvi.objectstore.middleware.bulk_delete import report
from pilvi.objectstore.proxy.constraints import CONTAINER_NAME_BYTES, FILE_BYTES
from pilvi.objectstore.proxy.listing import wanted_format
from pilvi.objectstore.proxy.message import Handler, Request, Response, quoted, size_of
from pilvi.objectstore.proxy.world import World

FORMATS: dict[str, Callable[[], Any] | None] = {"tar": None, "tar.gz": lambda: zlib.decompressobj(31), "tar.bz2": bz2.BZ2Decompressor}
PIECE = 1 << 20
MOST_FAILED = 1_000
HEADER_BYTES, MOST_GLOBAL, MOST_OTHERS = 65_536, 1_000, 100_000
"""A member's extended header (its metadata may be 4 KiB); names in headers for all; members that are no files."""
HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MOST_CONTAINERS = 10_000
TYPE, META = "SCHILY.xattr.user.mime_type", "SCHILY.xattr.user.meta."


class Incoming:
    """The request's body, decompressed, as a file that a thread reads."""

    def __init__(self, body: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop, decompressor: Any) -> None:
        self.body, self.loop, self.held = body, loop, b""
        self.decompressor, self.full = decompressor, False

    def read(self, size: int) -> bytes:
        """Blocks until so many bytes are there, or the end. Raises zlib.error, OSError for what is not compressed so."""
        pieces, have = [self.held], len(self.held)
        while have < size:
            piece = self._piece() if self.decompressor else self._sent()
            if not piece: break
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        self.held = whole[size:]
        return whole[:size]

    def _piece(self) -> bytes:
        """The next bytes, a MiB at most however far they were compressed; none at the end."""
        while not self.decompressor.eof:
            rest = getattr(self.decompressor, "unconsumed_tail", b"")  # zlib's; bz2 keeps it
            given = rest if rest or self.full else self._sent()
            if not given and not self.full: break
            made: bytes = self.decompressor.decompress(given, PIECE)
            self.full = len(made) == PIECE or not getattr(self.decompressor, "needs_input", True)
            if made: return made
        return b""

    def _sent(self) -> bytes:
        return asyncio.run_coroutine_threadsafe(self._next(), self.loop).result()

    async def _next(self) -> bytes:
        try: return await anext(self.body)
        except StopAsyncIteration: return b""


class Member(tarfile.TarInfo):
    """A member whose headers are bounded: tarfile reads as much as they say they have."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        made = super().frombuf(buf, encoding, errors)
        if made.type in HEADERS and made.size > HEADER_BYTES: raise tarfile.ReadError("a header is too long")
        if made.type == tarfile.GNUTYPE_SPARSE: raise tarfile.ReadError("sparse files are not taken")
        return made

    def _proc_gnusparse_10(self, *arguments: Any) -> None:
        raise tarfile.ReadError("sparse files are not taken")


@dataclass
class Unpacking:
    """How far it is."""
    created: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    containers: set[str] = field(default_factory=set)


class Archive:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        world.info["bulk_upload"] = {"max_containers_per_extraction": MOST_CONTAINERS, "max_failed_extractions": MOST_FAILED}

    async def __call__(self, request: Request) -> Response:
        kind = request.query.get("extract-archive")
        if kind is None or request.method != "PUT" or not request.parts[1]: return await self.application(request)
        form = wanted_format(request)
        if kind not in FORMATS:
            return report(form, "400 Bad Request", f'Unsupported archive format "{kind}"', {"Number Files Created": 0}, [])
        if request.length is None and "transfer-encoding" not in request.headers: raise Refused(411)
        state = Unpacking()
        status, text = "201 Created", ""
        with ThreadPoolExecutor(2, thread_name_prefix="archive") as threads:
            loop = asyncio.get_running_loop()
            try: await loop.run_in_executor(threads, self._unpack, request, FORMATS[kind], state, loop, threads)
            except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RecursionError) as failure:
                if not isinstance(failure, ClientGone): status, text = "400 Bad Request", f"Invalid Tar File: {failure}"
            except Refused as failure: status, text = f"{failure.status} {reason(failure.status)}", str(failure.text or "")
        if status == "201 Created":
            if state.failed: status = "400 Bad Request"
            elif not state.created: status, text = "400 Bad Request", "Invalid Tar File: No Valid Files"
        return report(form, status, text, {"Number Files Created": state.created}, state.failed)

    def _unpack(self, request: Request, form: Callable[[], Any] | None, state: Unpacking, loop: asyncio.AbstractEventLoop,
                threads: ThreadPoolExecutor) -> None:
        """In a thread. Raises TarError, Refused, ClientGone."""
        others = 0
        incoming = Incoming(request.body, loop, form() if form else None)
        with tarfile.open(mode="r|", fileobj=incoming, tarinfo=Member) as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members.clear()  # it would remember them all
                others += not member.isfile()
                if others > MOST_OTHERS or len(archive.pax_headers) > MOST_GLOBAL: raise tarfile.ReadError("it has too many headers")
                if not member.isfile(): continue
                source = archive.extractfile(member)
                if source is None: continue
                asyncio.run_coroutine_threadsafe(self._store(request, member, source, state, threads), loop).result()
                if len(state.failed) >= MOST_FAILED: raise Refused(400, "Too many failed extractions")

    async def _store(self, request: Request, member: tarfile.TarInfo, source: IO[bytes], state: Unpacking,
                     threads: ThreadPoolExecutor) -> None:
        """Uploads one file, into a container that is made when it is first met."""
        _, account, container, prefix = request.parts
        name = member.name
        while name.startswith(("./", "/")): name = name.removeprefix("./").lstrip("/")
        path = "/".join(part for part in (container, prefix, name) if part)
        into, _, inner = path.partition("/")
        if not inner: return
        shown = quoted(f"/{path}")
        if size_of(into) > CONTAINER_NAME_BYTES: return state.failed.append((shown, "400 Bad Request"))
        if member.size > FILE_BYTES: return state.failed.append((shown, "413 Request Entity Too Large"))
        base = f"/{request.parts[0]}/{account}"
        if into not in state.containers:
            if len(state.containers) >= MOST_CONTAINERS: raise Refused(400, f"More than {MOST_CONTAINERS} containers to create from tar.")
            made = await self.application(request.child("PUT", f"{base}/{into}", source="EA"))
            if made.status == 401: raise Refused(401)
            if not made.ok and made.status != 403: return state.failed.append((shown, f"{made.status} {reason(made.status)}"))
            state.containers.add(into)  # 403: perhaps its ACL lets the caller write
        headers = {"content-length": str(member.size), **_facts(member)}
        asked = request.child("PUT", f"{base}/{path}", headers=headers, body=_pieces(source, threads), source="EA")
        response = await self.application(asked)
        if response.ok: state.created += 1
        elif response.status == 401: raise Refused(401)
        else: state.failed.append((shown, f"{response.status} {reason(response.status)}"))
        return None


async def _pieces(source: Any, threads: ThreadPoolExecutor) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while piece := await loop.run_in_executor(threads, source.read, PIECE): yield piece


def _facts(member: tarfile.TarInfo) -> dict[str, str]:
    """Content type and metadata that the archive carries as extended attributes."""
    given = member.pax_headers
    found = {f"x-object-meta-{name.removeprefix(META).lower()}": value for name, value in given.items() if name.startswith(META)}
    if member.pax_headers.get(TYPE): found["content-type"] = member.pax_headers[TYPE]
    return found
