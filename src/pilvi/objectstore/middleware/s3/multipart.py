"""Uploads in parts: each part is an object in `bucket+segments`, the whole a static large object that names them.

Source: Amazon S3 API reference, CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload,
ListParts, ListMultipartUploads.
"""
from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec

from pilvi.objectstore.middleware.s3 import acl, xml
from pilvi.objectstore.middleware.s3.call import SEGMENTS, S3Call, document, moment
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.object_ import _instant, conditional, source_of
from pilvi.objectstore.middleware.s3.payload import md5_hex
from pilvi.objectstore.proxy.message import Response, once
from pilvi.objectstore.proxy.object_ import OPEN_TO_ALL, S3_ETAG

MOST_PARTS = 10_000
PART_BYTES = 5 * 1024 * 1024
"""Least size of a part that is not the last."""
KEPT = ("content-encoding", "content-disposition", "content-language", "cache-control", "expires")
TYPE, UPLOAD = "x-object-sysmeta-s3-content-type", "x-object-sysmeta-s3-upload-id"
Line = dict[str, Any]


def _segments(call: S3Call) -> str:
    return f"{call.bucket}{SEGMENTS}"


async def create(call: S3Call) -> Response:
    """POST /bucket/key?uploads"""
    head = await call.swift("HEAD", call.bucket)
    policy = {"x-storage-policy": head.headers["x-storage-policy"]} if "x-storage-policy" in head.headers else {}
    upload = secrets.token_urlsafe(24)
    kept = call.metadata() | acl.headers_of_object(call)
    kept[TYPE] = kept.pop("content-type", "application/octet-stream")
    marker = {**kept, "content-length": "0", "content-type": "application/x-s3-upload"}
    found = await call.swift("PUT", _segments(call), f"{call.key}/{upload}", headers=marker, fails=(404,))
    if found.status == 404:
        await call.swift("PUT", _segments(call), headers=policy)
        await call.swift("PUT", _segments(call), f"{call.key}/{upload}", headers=marker)
    return document("InitiateMultipartUploadResult", [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload)])


async def _marker(call: S3Call) -> Response:
    """What was said when the upload began. Raises S3Refused."""
    found = await call.swift("HEAD", _segments(call), f"{call.key}/{call.query['uploadId']}", fails=(404,))
    await found.close()
    if found.status == 404:
        await call.must_exist()
        raise S3Refused("NoSuchUpload", UploadId=call.query["uploadId"])
    return found


async def put_part(call: S3Call) -> Response:
    """PUT /bucket/key?partNumber=&uploadId="""
    number = call.query.get("partNumber", "")
    if "uploadId" not in call.query: raise S3Refused("InvalidArgument", "This operation requires the uploadId")
    if not number.isdecimal() or not 1 <= int(number) <= MOST_PARTS:
        raise S3Refused("InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive")
    await _marker(call)
    name = f"{call.key}/{call.query['uploadId']}/{int(number)}"
    if "x-amz-copy-source" in call.headers:
        headers, query = source_of(call)
        if given := call.headers.get("x-amz-copy-source-range"): headers["range"] = given
        response = await call.swift("PUT", _segments(call), name, headers=headers | {"x-fresh-metadata": "true"}, query=query)
        fields = [("LastModified", _instant(response.headers["last-modified"])), ("ETag", _quoted(response))]
        return document("CopyPartResult", fields)
    if call.length is None: raise S3Refused("MissingContentLength")
    headers = {"content-length": str(call.length), "content-type": "application/octet-stream"}
    if "content-md5" in call.headers: headers["etag"] = md5_hex(call.headers["content-md5"])
    response = await call.swift("PUT", _segments(call), name, headers=headers, body=call.secure_body)
    return Response(200, {"etag": _quoted(response), "last-modified": response.headers["last-modified"]})


def _quoted(response: Response) -> str:
    return '"' + response.headers["etag"].strip('"') + '"'


async def _parts(call: S3Call) -> dict[int, Line]:
    """{part number: its line} of what has been uploaded."""
    prefix = f"{call.key}/{call.query['uploadId']}/"
    found: dict[int, Line] = {}
    marker = ""
    while True:
        page = (await call.swift("GET", _segments(call), query={"prefix": prefix, "marker": marker})).notes["listing"].lines
        found |= {int(line["name"].removeprefix(prefix)): line for line in page if line["name"].removeprefix(prefix).isdecimal()}
        if len(page) < MOST_PARTS: return dict(sorted(found.items()))
        marker = page[-1]["name"]


async def list_parts(call: S3Call) -> Response:
    """GET /bucket/key?uploadId="""
    await _marker(call)
    most, after = int(call.query.get("max-parts", "1000")), int(call.query.get("part-number-marker", "0"))
    parts = [(number, line) for number, line in (await _parts(call)).items() if number > after]
    truncated, parts = len(parts) > most, parts[:most]
    fields: list[tuple[str, Any]] = [
        ("Bucket", call.bucket), ("Key", call.key), ("UploadId", call.query["uploadId"]), ("Initiator", call.owner), ("Owner", call.owner),
        ("StorageClass", "STANDARD"), ("PartNumberMarker", after),
        ("NextPartNumberMarker", parts[-1][0] if parts else 0), ("MaxParts", most), ("IsTruncated", truncated)]
    fields += [("Part", [("PartNumber", number), ("LastModified", moment(line["last_modified"])), ("ETag", f'"{line["hash"]}"'),
                         ("Size", line["bytes"])]) for number, line in parts]
    return document("ListPartsResult", fields)


async def list_uploads(call: S3Call) -> Response:
    """GET /bucket?uploads"""
    await call.swift("HEAD", call.bucket)
    prefix, most = call.query.get("prefix", ""), min(int(call.query.get("max-uploads", "1000")), 1000)
    marker = call.query.get("key-marker")
    after = f"{marker}/{call.query.get('upload-id-marker', '~')}" if marker else ""
    response = await call.swift("GET", _segments(call), query={"prefix": prefix, "marker": after}, fails=(404,))
    lines = [line for line in response.notes["listing"].lines if line["content_type"] == "application/x-s3-upload"] if response.ok else []
    truncated, lines = len(lines) > most, lines[:most]
    last = lines[-1]["name"].rpartition("/") if len(lines) > 1 else ("", "", "")
    fields: list[tuple[str, Any]] = [
        ("Bucket", call.bucket), ("KeyMarker", marker or ""), ("UploadIdMarker", call.query.get("upload-id-marker", "")),
        ("NextKeyMarker", last[0]), ("NextUploadIdMarker", last[2]), ("Prefix", prefix), ("MaxUploads", most), ("IsTruncated", truncated)]
    for line in lines:
        key, _, upload = line["name"].rpartition("/")
        fields.append(("Upload", [("Key", key), ("UploadId", upload), ("Initiator", call.owner), ("Owner", call.owner),
                                  ("StorageClass", "STANDARD"), ("Initiated", moment(line["last_modified"]))]))
    return document("ListMultipartUploadsResult", fields)


async def complete(call: S3Call) -> Response:
    """POST /bucket/key?uploadId=; done again, it answers the same."""
    try: marker = await _marker(call)
    except S3Refused as failure:
        done = await call.swift("HEAD", call.bucket, call.key, fails=(404,))
        await done.close()
        if failure.code != "NoSuchUpload" or done.headers.get(UPLOAD) != call.query["uploadId"]: raise
        return _completed(call, done.headers[S3_ETAG], done)
    wanted = _wanted(await call.body())
    parts = await _parts(call)
    chosen: list[Line] = []
    for number, etag in wanted:
        if number not in parts or parts[number]["hash"] != etag: raise S3Refused("InvalidPart", PartNumber=str(number), ETag=etag)
        chosen.append(parts[number])
    for line in chosen[:-1]:
        if line["bytes"] < PART_BYTES: raise S3Refused("EntityTooSmall", MinSizeAllowed=str(PART_BYTES), ProposedSize=str(line["bytes"]))
    etag = f"{hashlib.md5(b''.join(bytes.fromhex(line['hash']) for line in chosen), usedforsecurity=False).hexdigest()}-{len(chosen)}"
    manifest = [{"path": f"/{_segments(call)}/{line['name']}", "etag": line["hash"], "size_bytes": line["bytes"]} for line in chosen
                if line["bytes"]]  # a manifest has no empty segments
    kept = {name: value for name, value in marker.headers.items() if name.startswith("x-object-meta-") or name in (*KEPT, OPEN_TO_ALL)}
    body = msgspec.json.encode(manifest) if manifest else b""
    headers = {**kept, "content-type": marker.headers.get(TYPE, "application/octet-stream"), S3_ETAG: etag, UPLOAD: call.query["uploadId"],
               "content-length": str(len(body))}
    conditional(call)
    if "if-none-match" in call.headers: headers["if-none-match"] = call.headers["if-none-match"]
    response = await call.swift("PUT", call.bucket, call.key, headers=headers, query={"multipart-manifest": "put"} if manifest else {},
                                body=once(body), notes={"listed parameters": f"; s3_etag={etag}"})
    ended = [f"{call.key}/{call.query['uploadId']}", *(line["name"] for line in chosen if not line["bytes"])]
    for name in ended: await call.swift("DELETE", _segments(call), name, fails=(404,))
    return _completed(call, etag, response)


def _completed(call: S3Call, etag: str, response: Response) -> Response:
    version = response.headers.get("x-object-version-id")
    return document("CompleteMultipartUploadResult", [
        ("Location", f"{call.request.base}/{call.bucket}/{call.key}"), ("Bucket", call.bucket), ("Key", call.key), ("ETag", f'"{etag}"')],
        headers={"x-amz-version-id": version} if version else {})


def _wanted(body: bytes) -> list[tuple[int, str]]:
    """[(part number, etag)] of the client's list. Raises S3Refused."""
    found: list[tuple[int, str]] = []
    for part in xml.parse(body, "CompleteMultipartUpload").findall("Part"):
        number, etag = part.findtext("PartNumber", ""), part.findtext("ETag", "").strip().strip('"')
        if not number.isdecimal() or not etag: raise S3Refused("MalformedXML")
        if found and int(number) <= found[-1][0]: raise S3Refused("InvalidPartOrder", UploadId="")
        found.append((int(number), etag))
    if not found: raise S3Refused("MalformedXML")
    return found


async def abort(call: S3Call) -> Response:
    """DELETE /bucket/key?uploadId="""
    await _marker(call)
    names = [line["name"] for line in (await _parts(call)).values()]
    await call.swift("DELETE", _segments(call), f"{call.key}/{call.query['uploadId']}", fails=(404,))
    for name in names: await call.swift("DELETE", _segments(call), name, fails=(404,))
    return Response(204)
