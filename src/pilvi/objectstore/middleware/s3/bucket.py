"""Buckets: making, removing, versioning, access lists, deleting many objects.

Source: Amazon S3 API reference, the operations of these names.
"""
from __future__ import annotations

import asyncio
from typing import Any

from pilvi.objectstore.errors import reason
from pilvi.objectstore.middleware.s3 import acl, xml
from pilvi.objectstore.middleware.s3.call import SEGMENTS, S3Call, document
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.object_ import remove
from pilvi.objectstore.proxy.message import Response

MOST_DELETES = 1000
AT_ONCE = 8


async def create(call: S3Call) -> Response:
    """PUT /bucket"""
    assert call.bucket
    if call.bucket.endswith(SEGMENTS): raise S3Refused("InvalidBucketName", BucketName=call.bucket)
    body = await call.body()
    if body.strip():
        place = xml.parse(body, "CreateBucketConfiguration").findtext("LocationConstraint", "")
        if place not in ("", "US", "us-east-1", call.world.application.region): raise S3Refused("InvalidLocationConstraint")
    headers = acl.headers_of(acl.granted(call, b"")) if "x-amz-acl" in call.headers else {}
    response = await call.swift("PUT", call.bucket, headers=headers)
    if response.status == 202: raise S3Refused("BucketAlreadyOwnedByYou", BucketName=call.bucket)
    return Response(200, {"location": f"/{call.bucket}"})


async def head(call: S3Call) -> Response:
    """HEAD /bucket"""
    await call.swift("HEAD", call.bucket)
    return Response(200, {"content-type": "application/xml"})


async def delete(call: S3Call) -> Response:
    """DELETE /bucket"""
    assert call.bucket
    gone = await call.swift("DELETE", call.bucket, fails=(409,))
    if gone.status == 409: raise S3Refused("BucketNotEmpty", BucketName=call.bucket)
    parts = await call.swift("GET", call.bucket + SEGMENTS, fails=(404,))
    if parts.ok:  # uploads that were begun and never ended go with their bucket
        for line in parts.notes["listing"].lines: await call.swift("DELETE", call.bucket + SEGMENTS, line["name"], fails=(404,))
        await call.swift("DELETE", call.bucket + SEGMENTS, fails=(404, 409))
    return Response(204)


async def location(call: S3Call) -> Response:
    """GET /bucket?location"""
    await call.swift("HEAD", call.bucket)
    return document("LocationConstraint", call.world.application.region)


async def logging(call: S3Call) -> Response:
    """GET /bucket?logging: nothing is logged."""
    await call.swift("HEAD", call.bucket)
    return document("BucketLoggingStatus", [])


async def object_lock(call: S3Call) -> Response:
    """GET /bucket?object-lock: no bucket has one."""
    await call.swift("HEAD", call.bucket)
    raise S3Refused("ObjectLockConfigurationNotFoundError")


async def versioning(call: S3Call) -> Response:
    """GET /bucket?versioning"""
    response = await call.swift("HEAD", call.bucket)
    state = {"True": "Enabled", "False": "Suspended"}.get(response.headers.get("x-versions-enabled", ""))
    return document("VersioningConfiguration", [("Status", state)])


async def set_versioning(call: S3Call) -> Response:
    """PUT /bucket?versioning"""
    status = xml.parse(await call.body(), "VersioningConfiguration").findtext("Status")
    if status not in ("Enabled", "Suspended"): raise S3Refused("MalformedXML")
    await call.swift("POST", call.bucket, headers={"x-versions-enabled": "true" if status == "Enabled" else "false"})
    return Response(200)


async def delete_many(call: S3Call) -> Response:
    """POST /bucket?delete"""
    if "content-md5" not in call.headers and "x-amz-content-sha256" not in call.headers and not any(
            name.startswith("x-amz-checksum-") for name in call.headers):
        raise S3Refused("InvalidRequest", "Missing required header for this request: Content-MD5")
    await call.must_exist()
    wanted = xml.parse(await call.body(), "Delete")
    quiet = (wanted.findtext("Quiet") or "").lower() == "true"
    entries = [(entry.findtext("Key"), entry.findtext("VersionId")) for entry in wanted.findall("Object")]
    if not entries or len(entries) > MOST_DELETES: raise S3Refused("MalformedXML")
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(key: str | None, version: str | None) -> tuple[str, list[tuple[str, Any]]] | None:
        if not key: raise S3Refused("UserKeyMustBeSpecified")
        async with gate:
            try: response = await remove(call, key, version)
            except S3Refused as failure:
                return "Error", [("Key", key), ("VersionId", version), ("Code", failure.code), ("Message", failure.message)]
        if not response.ok and response.status != 404:
            return "Error", [("Key", key), ("Code", "InternalError"), ("Message", reason(response.status))]
        fields: list[tuple[str, Any]] = [("Key", key), ("VersionId", version)]
        marker = response.headers.get("x-object-version-id")
        if version is None and marker: fields += [("DeleteMarker", True), ("DeleteMarkerVersionId", marker)]
        return "Deleted", fields

    results = await asyncio.gather(*(one(*entry) for entry in entries))
    return document("DeleteResult", [entry for entry in results if entry and not (quiet and entry[0] == "Deleted")])


async def show_acl(call: S3Call) -> Response:
    """GET /bucket?acl"""
    response = await call.swift("HEAD", call.bucket)
    if not call.request.owner: raise S3Refused("AccessDenied")
    return acl.policy(call, response.headers)


async def set_acl(call: S3Call) -> Response:
    """PUT /bucket?acl"""
    await call.swift("POST", call.bucket, headers=acl.headers_of(acl.granted(call, await call.body())))
    return Response(200)
