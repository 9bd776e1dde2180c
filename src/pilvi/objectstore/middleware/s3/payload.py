"""Bodies of S3 requests: checked against the hashes that were announced or signed, and taken out of `aws-chunked` pieces.

A body that is not what it should be ends the upload, so nothing of it is kept.
Source: Amazon S3 API reference, "Signature calculations: transferring payload in multiple chunks", "Checking object integrity".
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.signature import STREAMING, UNSIGNED, V4, Signed

EMPTY_SHA256 = hashlib.sha256().hexdigest()
LINE_BYTES = 4096
CHUNK_BYTES = 64 << 20
CHECKSUM = "x-amz-checksum-"


class Digest(Protocol):
    """What hashlib's have."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 as S3 writes it."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes, /) -> None:
        self.value = zlib.crc32(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


DIGESTS: dict[str, Any] = {"crc32": Crc32, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
"""Checksums that are verified; crc32c and crc64nvme are taken without being looked at."""


def md5_hex(header: str) -> str:
    """The hex form of a Content-MD5. Raises S3Refused."""
    try: raw = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError): raise S3Refused("InvalidDigest") from None
    if len(raw) != 16: raise S3Refused("InvalidDigest")
    return raw.hex()


async def checked(body: AsyncIterator[bytes], headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body, held against x-amz-content-sha256 and x-amz-checksum-…"""
    announced = headers.get("x-amz-content-sha256", UNSIGNED)
    wanted = {name: headers[CHECKSUM + name] for name in DIGESTS if CHECKSUM + name in headers}
    digests: dict[str, Digest] = {name: DIGESTS[name]() for name in wanted}
    whole = None if announced == UNSIGNED or announced.startswith(STREAMING) else hashlib.sha256()
    async for piece in body:
        if whole: whole.update(piece)
        for digest in digests.values(): digest.update(piece)
        yield piece
    if whole and whole.hexdigest() != announced.lower(): raise S3Refused("XAmzContentSHA256Mismatch")
    _compare(digests, wanted)


def _compare(digests: dict[str, Digest], wanted: dict[str, str]) -> None:
    for name, digest in digests.items():
        if base64.b64encode(digest.digest()).decode() != wanted.get(name, "").strip(): raise S3Refused("BadDigest")


class Chunks:
    """The bytes within an aws-chunked body; `key` is the signing key where the chunks are signed."""

    def __init__(self, body: AsyncIterator[bytes], headers: dict[str, str], signed: Signed, key: bytes | None) -> None:
        self.body, self.signed, self.key = body, signed, key
        self.previous = signed.signature
        self.held = bytearray()
        names = [name.strip().removeprefix(CHECKSUM) for name in headers.get("x-amz-trailer", "").lower().split(",")]
        self.trailing = bool(headers.get("x-amz-trailer"))
        self.digests: dict[str, Digest] = {name: DIGESTS[name]() for name in names if name in DIGESTS}

    async def read(self) -> AsyncIterator[bytes]:
        """Raises S3Refused."""
        while True:
            head, _, rest = (await self._line()).partition(b";")
            try: size = int(head, 16)
            except ValueError: raise S3Refused("IncompleteBody") from None
            if size > CHUNK_BYTES or size < 0: raise S3Refused("InvalidRequest")
            data = await self._take(size)
            if self.key is not None: self._verify(rest, data)
            if not size: break
            if await self._take(2) != b"\r\n": raise S3Refused("IncompleteBody")
            for digest in self.digests.values(): digest.update(data)
            yield data
        if self.trailing: await self._trailer()

    def _verify(self, extension: bytes, data: bytes) -> None:
        """A chunk's signature is made over the one before it and its bytes."""
        given = extension.partition(b"chunk-signature=")[2].strip().decode("ascii", "replace")
        text = "\n".join((V4 + "-PAYLOAD", self.signed.moment, "/".join(self.signed.scope), self.previous, EMPTY_SHA256,
                          hashlib.sha256(data).hexdigest()))
        right = hmac.new(self.key or b"", text.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(right.encode(), given.encode("utf-8", "replace")): raise S3Refused("SignatureDoesNotMatch")
        self.previous = right

    async def _trailer(self) -> None:
        wanted: dict[str, str] = {}
        while line := await self._line(at_end=True):
            name, _, value = line.decode("ascii", "replace").partition(":")
            if name.strip().lower().startswith(CHECKSUM): wanted[name.strip().lower().removeprefix(CHECKSUM)] = value.strip()
        _compare(self.digests, wanted)

    async def _more(self) -> bool:
        try: self.held += await anext(self.body)
        except StopAsyncIteration: return False
        return True

    async def _line(self, *, at_end: bool = False) -> bytes:
        while (at := self.held.find(b"\r\n")) < 0:
            if len(self.held) > LINE_BYTES: raise S3Refused("InvalidRequest")
            if not await self._more():
                if at_end: return b""
                raise S3Refused("IncompleteBody")
        line = bytes(self.held[:at])
        del self.held[:at + 2]
        return line

    async def _take(self, size: int) -> bytes:
        while len(self.held) < size:
            if not await self._more(): raise S3Refused("IncompleteBody")
        data = bytes(self.held[:size])
        del self.held[:size]
        return data
