"""One request of the S3 API: whose it is, what it names, and how it asks the Swift API below."""
from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilvi.objectstore.middleware.s3 import xml
from pilvi.objectstore.middleware.s3.faults import S3Refused, of_status
from pilvi.objectstore.proxy.message import Handler, Request, Response
from pilvi.objectstore.proxy.world import World

SEGMENTS = "+segments"
"""What a bucket's parts lie in: a container with this ending."""
BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9_-]")
KEY_BYTES = 1024
META = "x-amz-meta-"
PASSED = ("content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires", "x-robots-tag",
          "x-delete-at", "x-delete-after")


@dataclass(slots=True)
class S3Call:
    """What an operation works with."""
    request: Request
    application: Handler
    world: World
    account: str
    bucket: str | None
    key: str | None
    secure_body: AsyncIterator[bytes]
    """The body, unwrapped and checked."""
    length: int | None
    """Its bytes."""

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    @property
    def headers(self) -> dict[str, str]:
        return self.request.headers

    async def swift(self, method: str, bucket: str | None = None, key: str | None = None, *, headers: dict[str, str] | None = None,
                    query: dict[str, str] | None = None, body: AsyncIterator[bytes] | None = None, fails: tuple[int, ...] = (),
                    notes: dict[str, str] | None = None) -> Response:
        """A request below. Raises S3Refused unless it succeeds or its status is among `fails`."""
        path = "/".join(part for part in ("", "v1", self.account, bucket, key) if part is not None)
        asked = self.request.child(method, path, headers=headers, query=query, body=body, source="S3")
        asked.notes |= notes or {}
        response = await self.application(asked)
        self.request.owner = self.request.owner or asked.owner
        if response.status < 400 or response.status in fails: return response
        text = (await response.read()).decode("utf-8", "replace") if method != "HEAD" else ""
        if response.status == 404 and key and method != "GET" and bucket and not await self._bucket_exists(bucket): key = None
        failure = of_status(response.status, bucket, key, method)
        if response.status == 400 and text and not text.startswith("<"): failure.message = text
        if response.headers.get("x-object-version-id"): failure.facts["VersionId"] = response.headers["x-object-version-id"]
        raise failure

    async def _bucket_exists(self, bucket: str) -> bool:
        return await self.world.facts.container(self.request, self.account, bucket) is not None

    async def must_exist(self) -> None:
        """Raises NoSuchBucket."""
        if self.bucket and not await self._bucket_exists(self.bucket): raise S3Refused("NoSuchBucket", BucketName=self.bucket)

    async def body(self, most: int = xml.BODY_BYTES) -> bytes:
        """The whole body, for documents. Raises S3Refused."""
        pieces = bytearray()
        async for piece in self.secure_body:
            pieces += piece
            if len(pieces) > most: raise S3Refused("MalformedXML")
        return bytes(pieces)

    def metadata(self) -> dict[str, str]:
        """The headers that are kept with an object, as the Swift API has them."""
        kept = {name: value for name, value in self.headers.items() if name in PASSED}
        if "aws-chunked" in kept.get("content-encoding", ""):
            left = [word.strip() for word in kept["content-encoding"].split(",") if word.strip() and word.strip() != "aws-chunked"]
            kept["content-encoding"] = ",".join(left)
            if not left: del kept["content-encoding"]
        return kept | {f"x-object-meta-{name.removeprefix(META)}": value for name, value in self.headers.items() if name.startswith(META)}

    @property
    def owner(self) -> list[tuple[str, str]]:
        """The Owner element's fields."""
        return [("ID", self.request.identity.user_id), ("DisplayName", self.request.identity.user_name or self.request.identity.user_id)]


def document(name: str, fields: list[tuple[str, xml.Value]] | str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response with an XML body."""
    return Response(status, {"content-type": "application/xml", **(headers or {})}, xml.document(name, fields))


def moment(last_modified: str) -> str:
    """A listing's instant as S3 writes it: rounded up, as in Last-Modified."""
    return f"{datetime.fromisoformat(last_modified) + timedelta(microseconds=999_999):%Y-%m-%dT%H:%M:%S}.000Z"


def s3_etag(listed: str) -> str:
    """The etag of a listing's line, quotes included: that of the parts for what was uploaded in parts."""
    first, *parameters = (part.strip() for part in listed.split(";"))
    for parameter in parameters:
        if parameter.startswith("s3_etag="): return f'"{parameter.partition("=")[2]}"'
    return f'"{first}"'
