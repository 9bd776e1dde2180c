"""Listing buckets, objects (version 1 and 2) and versions. Source: Amazon S3 API reference, ListBuckets, ListObjects, ListObjectsV2,
ListObjectVersions."""
from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from pilvi.objectstore.middleware.s3.call import SEGMENTS, S3Call, document, moment, s3_etag
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.proxy.message import Response
from pilvi.objectstore.proxy.versions import MARKER

MOST_KEYS = 1000
Fields = list[tuple[str, Any]]


async def buckets(call: S3Call) -> Response:
    """GET /"""
    response = await call.swift("GET")
    lines = [line for line in response.notes["listing"].lines if not line["name"].endswith(SEGMENTS)]
    found = [("Bucket", [("Name", line["name"]), ("CreationDate", moment(line["last_modified"]))]) for line in lines]
    return document("ListAllMyBucketsResult", [("Owner", call.owner), ("Buckets", found)])


async def objects(call: S3Call) -> Response:
    """GET /bucket"""
    query, second = call.query, call.query.get("list-type") == "2"
    most = _most(query)
    marker = _token(query["continuation-token"]) if second and query.get("continuation-token") else \
        query.get("start-after" if second else "marker", "")
    asked = {"prefix": query.get("prefix", ""), "delimiter": query.get("delimiter", ""), "marker": marker, "limit": str(most + 1)}
    response = await call.swift("GET", call.bucket, query=asked)
    lines = response.notes["listing"].lines if most else []
    truncated, lines = len(lines) > most, lines[:most]
    name = _namer(query)
    fields: Fields = [("Name", call.bucket), ("Prefix", name(query.get("prefix", "")))]
    last = (lines[-1].get("name") or lines[-1].get("subdir")) if lines else ""
    if second:
        for word in ("continuation-token", "start-after"):
            if word in query: fields.append(("ContinuationToken" if word == "continuation-token" else "StartAfter", query[word]))
        fields.append(("KeyCount", len(lines)))
        if truncated: fields.append(("NextContinuationToken", base64.b64encode(last.encode()).decode()))
    else:
        fields.append(("Marker", name(query.get("marker", ""))))
        if truncated and query.get("delimiter"): fields.append(("NextMarker", name(last)))
    fields.append(("MaxKeys", most))
    if query.get("delimiter"): fields.append(("Delimiter", name(query["delimiter"])))
    if query.get("encoding-type") == "url": fields.append(("EncodingType", "url"))
    fields.append(("IsTruncated", truncated))
    owner = not second or query.get("fetch-owner", "").lower() == "true"
    fields += [("Contents", _entry(call, name, line, owner)) for line in lines if "name" in line]
    fields += [("CommonPrefixes", [("Prefix", name(line["subdir"]))]) for line in lines if "subdir" in line]
    return document("ListBucketResult", fields)


def _entry(call: S3Call, name: Any, line: dict[str, Any], owner: bool) -> Fields:
    fields: Fields = [("Key", name(line["name"])), ("LastModified", moment(line["last_modified"])), ("ETag", s3_etag(_full(line))),
                      ("Size", line["bytes"])]
    if owner: fields.append(("Owner", call.owner))
    return [*fields, ("StorageClass", "STANDARD")]


def _full(line: dict[str, Any]) -> str:
    return f"{line['hash']}; s3_etag={line['s3_etag']}" if "s3_etag" in line else str(line["hash"])


async def versions(call: S3Call) -> Response:
    """GET /bucket?versions"""
    query, most = call.query, _most(call.query)
    asked = {"versions": "", "prefix": query.get("prefix", ""), "delimiter": query.get("delimiter", ""), "limit": str(most + 1),
             "marker": query.get("key-marker", "")}
    if query.get("version-id-marker") and asked["marker"]: asked["version_marker"] = query["version-id-marker"]
    response = await call.swift("GET", call.bucket, query=asked)
    lines = response.notes["listing"].lines
    truncated, lines = len(lines) > most, lines[:most]
    name = _namer(query)
    fields: Fields = [("Name", call.bucket), ("Prefix", name(query.get("prefix", ""))), ("KeyMarker", name(query.get("key-marker", ""))),
                      ("VersionIdMarker", query.get("version-id-marker", "")), ("MaxKeys", most), ("IsTruncated", truncated)]
    if query.get("encoding-type"): fields.append(("EncodingType", "url"))
    if "delimiter" in query: fields.append(("Delimiter", query["delimiter"]))
    if truncated and lines:
        fields += [("NextKeyMarker", name(lines[-1].get("name") or lines[-1]["subdir"])),
                   ("NextVersionIdMarker", lines[-1].get("version_id", ""))]
    for line in lines:
        if "subdir" in line: fields.append(("CommonPrefixes", [("Prefix", name(line["subdir"]))]))
        else: fields.append(_version(call, name, line))
    return document("ListVersionsResult", fields)


def _version(call: S3Call, name: Any, line: dict[str, Any]) -> tuple[str, Fields]:
    marker = line["content_type"] == MARKER
    fields: Fields = [("Key", name(line["name"])), ("VersionId", line["version_id"]), ("IsLatest", line["is_latest"]),
                      ("LastModified", moment(line["last_modified"]))]
    if not marker: fields += [("ETag", s3_etag(_full(line))), ("Size", line["bytes"])]
    fields.append(("Owner", call.owner))
    return ("DeleteMarker", fields) if marker else ("Version", [*fields, ("StorageClass", "STANDARD")])


def _most(query: dict[str, str]) -> int:
    given = query.get("max-keys", str(MOST_KEYS))
    if not given.isdecimal(): raise S3Refused("InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647")
    return min(int(given), MOST_KEYS)


def _token(text: str) -> str:
    try: return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError): raise S3Refused("InvalidArgument", "The continuation token provided is incorrect") from None


def _namer(query: dict[str, str]) -> Any:
    given = query.get("encoding-type")
    if given not in (None, "url"): raise S3Refused("InvalidArgument", "Invalid Encoding Method specified in Request")
    return (lambda text: quote(text, safe="/~")) if given else (lambda text: text)
