"""Objects: bytes, metadata, copies, deletion.

Source: Amazon S3 API reference, PutObject, GetObject, HeadObject, CopyObject, DeleteObject.
"""
from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import unquote

import msgspec

from pilvi.objectstore.middleware.s3 import acl
from pilvi.objectstore.middleware.s3.call import S3Call, document
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.payload import md5_hex
from pilvi.objectstore.proxy.conditional import seconds
from pilvi.objectstore.proxy.message import Response, is_true, quoted
from pilvi.objectstore.proxy.object_ import KEPT, OPEN_TO_ALL, S3_ETAG

CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range")
SHOWN = ("content-type", "content-length", "content-encoding", "content-disposition", "content-language", "content-range", "cache-control",
         "expires", "last-modified", "accept-ranges", "x-parts-count", "x-robots-tag")
OVERRIDES = ("content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding")


async def get(call: S3Call) -> Response:
    """GET and HEAD /bucket/key"""
    headers = {name: value for name, value in call.headers.items() if name in CONDITIONS}
    query = {"version-id": call.query["versionId"]} if "versionId" in call.query else {}
    if "partNumber" in call.query: query["part-number"] = call.query["partNumber"]
    response = await call.swift(call.request.method, call.bucket, call.key, headers=headers, query=query, fails=(404,))
    if response.status == 404: raise await _absent(call, response)
    response.headers = shown(response)
    for name in OVERRIDES:
        if f"response-{name}" in call.query: response.headers[name] = call.query[f"response-{name}"]
    return response


async def _absent(call: S3Call, response: Response) -> S3Refused:
    await response.close()
    await call.must_exist()
    if "versionId" in call.query and not response.headers.get("content-type", "").startswith("application/x-deleted"):
        return S3Refused("NoSuchVersion", Key=call.key or "", VersionId=call.query["versionId"])
    return S3Refused("NoSuchKey", Key=call.key or "")


def shown(response: Response) -> dict[str, str]:
    """An object's headers as S3 has them."""
    given = response.headers
    headers = {name: given[name] for name in SHOWN if name in given}
    if "x-parts-count" in headers: headers["x-amz-mp-parts-count"] = headers.pop("x-parts-count")
    for name, value in given.items():
        if name.startswith("x-object-meta-"): headers[f"x-amz-meta-{name.removeprefix('x-object-meta-')}"] = value
    if "etag" in given: headers["etag"] = f'"{given.get(S3_ETAG) or given["etag"].strip(chr(34))}"'
    version = given.get("x-object-version-id")
    if version: headers["x-amz-version-id"] = version
    if given.get("x-delete-at", "").isdigit():
        end = formatdate(int(given["x-delete-at"]), usegmt=True)
        headers["x-amz-expiration"] = f'expiry-date="{end}", rule-id="swift-object-expiration"'
    return headers


async def put(call: S3Call) -> Response:
    """PUT /bucket/key"""
    if "x-amz-copy-source" in call.headers: return await _copy(call)
    headers = call.metadata() | _length(call) | acl.headers_of_object(call)
    if "content-md5" in call.headers: headers["etag"] = md5_hex(call.headers["content-md5"])
    conditional(call)
    if "if-none-match" in call.headers: headers["if-none-match"] = call.headers["if-none-match"]
    response = await call.swift("PUT", call.bucket, call.key, headers=headers, body=call.secure_body)
    return Response(200, {name: value for name, value in shown(response).items() if name in ("etag", "x-amz-version-id")})


def conditional(call: S3Call) -> None:
    """Of conditions on a write only that nothing is there is known. Raises S3Refused."""
    unknown = {"if-match", "if-modified-since", "if-unmodified-since"} & call.headers.keys()
    if unknown or call.headers.get("if-none-match", "*") != "*": raise S3Refused("NotImplemented")


def _length(call: S3Call) -> dict[str, str]:
    if call.length is None: raise S3Refused("MissingContentLength")
    return {"content-length": str(call.length)}


def source_of(call: S3Call) -> tuple[dict[str, str], dict[str, str]]:
    """(headers, query) that make a PUT a copy of x-amz-copy-source. Raises S3Refused."""
    path, _, version = call.headers["x-amz-copy-source"].partition("?versionId=")
    if "?" in path: raise S3Refused("InvalidArgument", "Unsupported copy source parameter.")
    bucket, _, key = unquote(path, errors="surrogateescape").lstrip("/").partition("/")
    if not bucket or not key:
        raise S3Refused("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    headers = {"x-copy-from": quoted(f"{bucket}/{key}"), "content-length": "0"}
    for name in ("if-match", "if-modified-since", "if-unmodified-since"):
        if f"x-amz-copy-source-{name}" in call.headers: headers[name] = call.headers[f"x-amz-copy-source-{name}"]
    return headers, {"version-id": version} if version else {}


async def _copy(call: S3Call) -> Response:
    headers, query = source_of(call)
    directive = call.headers.get("x-amz-metadata-directive", "COPY")
    if directive not in ("COPY", "REPLACE"): raise S3Refused("InvalidArgument", "Unknown metadata directive.")
    if headers["x-copy-from"] == quoted(f"{call.bucket}/{call.key}") and directive == "COPY" and not query:
        raise S3Refused("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing "
                        "the object's metadata, storage class, website redirect location or encryption attributes.")
    headers |= acl.headers_of_object(call)
    if directive == "REPLACE": headers |= call.metadata() | {"x-fresh-metadata": "true"}
    response = await call.swift("PUT", call.bucket, call.key, headers=headers, query=query)
    told = shown(response)
    return document("CopyObjectResult", [("LastModified", _instant(response.headers["last-modified"])), ("ETag", told["etag"])],
                    headers={name: value for name, value in told.items() if name == "x-amz-version-id"})


def _instant(last_modified: str) -> str:
    return f"{datetime.fromtimestamp(seconds(last_modified) or 0, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


async def delete(call: S3Call) -> Response:
    """DELETE /bucket/key: also of what is not there."""
    assert call.key
    await call.must_exist()
    version = call.query.get("versionId")
    response = await remove(call, call.key, version)
    if not response.ok and response.status != 404: raise S3Refused("AccessDenied" if response.status in (401, 403) else "InternalError")
    headers = {"x-amz-version-id": response.headers["x-object-version-id"]} if "x-object-version-id" in response.headers else {}
    if version is None and headers: headers["x-amz-delete-marker"] = "true"
    return Response(204, headers)


async def remove(call: S3Call, key: str, version: str | None) -> Response:
    """Deletes an object, with its parts when nothing can lead to them any more. Raises S3Refused."""
    query = {"version-id": version} if version else {}
    head = await call.swift("HEAD", call.bucket, key, query=query, fails=(403, 404))
    await head.close()
    versioned = "x-object-version-id" in head.headers and version is None
    parts: list[str] = []
    if head.ok and is_true(head.headers.get("x-static-large-object")) and not versioned and S3_ETAG in head.headers:
        manifest = await call.swift("GET", call.bucket, key, query={**query, "multipart-manifest": "get", "format": "raw"}, fails=(404,))
        if manifest.ok: parts = [entry["path"] for entry in msgspec.json.decode(await manifest.read()) if "path" in entry]
    response = await call.swift("DELETE", call.bucket, key, query=query, fails=(404,))
    for path in parts:
        container, _, name = path.lstrip("/").partition("/")
        await call.swift("DELETE", container, name, fails=(404,))
    return response


async def show_acl(call: S3Call) -> Response:
    """GET /bucket/key?acl"""
    head = await call.swift("HEAD", call.bucket, call.key)
    await head.close()
    bucket = await call.swift("HEAD", call.bucket)
    if not call.request.owner: raise S3Refused("AccessDenied")
    return acl.policy(call, bucket.headers, OPEN_TO_ALL in head.headers)


async def set_acl(call: S3Call) -> Response:
    """PUT /bucket/key?acl: what is in a bucket that everybody may read can't be closed."""
    if "versionId" in call.query: raise S3Refused("NotImplemented")
    head = await call.swift("HEAD", call.bucket, call.key)
    await head.close()
    bucket = await call.swift("HEAD", call.bucket)
    rights = acl.granted(call, await call.body())
    if acl.is_public(bucket.headers) and not rights: raise S3Refused("NotImplemented")
    kept = {name: value for name, value in head.headers.items() if name.startswith("x-object-meta-") or name in KEPT}
    await call.swift("POST", call.bucket, call.key, headers=kept | ({OPEN_TO_ALL: "true"} if rights else {}))
    return Response(200)


async def tagging(call: S3Call) -> Response:
    """GET /bucket/key?tagging: there are none."""
    await (await call.swift("HEAD", call.bucket, call.key)).close()
    return document("Tagging", [("TagSet", [])])
