"""Static large objects: an object whose stored bytes are a manifest, and which reads as its segments one after another.

Source: Object Storage API, "Static large objects".
"""
from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

import msgspec

from pilvi.objectstore.errors import Refused, reason
from pilvi.objectstore.middleware.bulk_delete import remove
from pilvi.objectstore.middleware.slo_heartbeat import YIELD_SECONDS, Unfit, beating
from pilvi.objectstore.proxy import manifest
from pilvi.objectstore.proxy.conditional import seconds
from pilvi.objectstore.proxy.listing import wanted_format
from pilvi.objectstore.proxy.manifest import MANIFEST_BYTES, MOST_SEGMENTS, Entry, Kept
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, is_true, once
from pilvi.objectstore.proxy.object_ import OVERRIDE, S3_ETAG
from pilvi.objectstore.proxy.segments import Segments
from pilvi.objectstore.proxy.world import World

AT_ONCE = 4
ETAG, SIZE = "x-object-sysmeta-slo-etag", "x-object-sysmeta-slo-size"


class StaticLargeObjects:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application = application
        world.info["slo"] = {"max_manifest_segments": MOST_SEGMENTS, "max_manifest_size": MANIFEST_BYTES, "min_segment_size": 1,
                             "yield_frequency": YIELD_SECONDS, "allow_async_delete": False}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not account: return await self.application(request)
        if not (container and name):
            response = await self.application(request)
            return self._list(response) if request.method == "GET" else response
        wanted = request.query.get("multipart-manifest")
        if request.method == "PUT" and wanted == "put": return await self._put(request, f"/{container}/{name}")
        if request.method == "DELETE" and wanted == "delete": return await self._delete(request)
        if request.method in ("GET", "HEAD"): return await self._get(request, wanted)
        return await self.application(request)

    def _list(self, response: Response) -> Response:
        """A listing's etag of a manifest holds that of the large object too."""
        listing = response.notes.get("listing")
        for line in listing.lines if listing else ():
            if "slo_etag" not in line.get("hash", ""): continue
            first, *parameters = (part.strip() for part in line["hash"].split(";"))
            others = [parameter for parameter in parameters if not parameter.startswith("slo_etag=")]
            line["slo_etag"] = next(f'"{p.partition("=")[2]}"' for p in parameters if p.startswith("slo_etag="))
            line["hash"] = "; ".join([first, *others])
        return response

    async def _put(self, request: Request, own_path: str) -> Response:
        if request.headers.get("x-copy-from"): raise Refused(405, "Multipart Manifest PUTs cannot be COPY requests", PLAIN)
        if request.length is None and "transfer-encoding" not in request.headers: raise Refused(411)
        body = await _whole(request, MANIFEST_BYTES)
        entries = manifest.parse(body, own_path)
        if not entries: raise Refused(400, "Manifest must contain at least one segment.\n", PLAIN)
        if not is_true(request.query.get("heartbeat")): return await self._store(request, entries)
        return beating(wanted_format(request), lambda: self._store(request, entries))

    async def _store(self, request: Request, entries: list[Entry]) -> Response:
        kept = await self._examine(request, entries)
        stored, slo_etag = msgspec.json.encode(kept), manifest.etag_of(kept)
        size = sum(segment.length for segment in manifest.segments_of(kept))
        if size > manifest.BYTES_MOST: raise Refused(413, "A large object of large objects is too large.", PLAIN)
        given = request.headers.pop("etag", "").strip('"')
        if given and given.lower() != slo_etag: raise Refused(422)
        digest = hashlib.md5(stored, usedforsecurity=False).hexdigest()
        request.headers |= {
            "x-static-large-object": "True", ETAG: slo_etag, SIZE: str(size), "content-length": str(len(stored)), "etag": digest,
            OVERRIDE + "etag": f"{digest}; slo_etag={slo_etag}" + request.notes.get("listed parameters", ""), OVERRIDE + "size": str(size)}
        request.headers.pop("transfer-encoding", None)
        request.query = {name: value for name, value in request.query.items() if name != "multipart-manifest"}
        request.body = once(stored)
        response = await self.application(request)
        if response.ok: response.headers |= {"etag": f'"{slo_etag}"', "x-manifest-etag": digest}
        return response

    async def _examine(self, request: Request, entries: list[Entry]) -> list[Kept]:
        """Asks each segment for its length and etag. Raises Refused with what does not fit."""
        gate, heads = asyncio.Semaphore(AT_ONCE), {}

        async def head(path: str) -> None:
            async with gate:
                asked = request.child("HEAD", f"/{request.parts[0]}/{request.parts[1]}/{path.lstrip('/')}", source="SLO")
                heads[path] = await self(asked)
                await heads[path].close()

        await asyncio.gather(*(head(path) for path in {entry["path"] for entry in entries if "path" in entry}))
        problems, kept = [], []
        for entry in entries:
            if "data" in entry:
                kept.append({"data": entry["data"]})
                continue
            found = _check(entry, heads[entry["path"]])
            if isinstance(found, str): problems.append([entry["path"], found])
            else: kept.append(found)
        if problems: raise Unfit(problems, "json" in request.headers.get("accept", ""))
        return kept

    async def _get(self, request: Request, wanted: str | None) -> Response:
        number = self._part_number(request)
        response = await self.application(request)
        if not response.ok or not is_true(response.headers.get("x-static-large-object")):
            return response
        headers = response.headers
        if wanted == "get": return await self._show(request, response)
        if request.method == "HEAD" and SIZE in headers and ETAG in headers and number is None:
            headers |= {"x-manifest-etag": headers["etag"], "etag": f'"{headers[ETAG]}"'}
            response.body.length = int(headers[SIZE])  # type: ignore[union-attr]
            headers["content-length"] = headers[SIZE]
            return _bare(response)
        kept = await self._read(request, response)
        # An upload in parts by S3: nobody but the S3 API can have written this header, or chosen the segments.
        body = Segments(request, self._fetch, manifest.segments_of(kept), "SLO", trusted=S3_ETAG in headers)
        headers |= {"x-manifest-etag": headers["etag"], "etag": f'"{manifest.etag_of(kept)}"', "content-length": str(body.length)}
        response.body, response.notes["large"] = body, True
        if number is not None: _cut_to_part(request, response, body, number)
        elif request.method == "GET": await body.prepare()
        return _bare(response)

    def _part_number(self, request: Request) -> int | None:
        given = request.query.get("part-number")
        if given is None: return None
        if not given.isdecimal() or int(given) < 1: raise Refused(400, "Part number must be an integer greater than 0", PLAIN)
        return int(given)

    async def _fetch(self, request: Request) -> Response:
        """A segment, which may be a large object itself."""
        return await self(request)

    async def _read(self, request: Request, response: Response) -> list[Kept]:
        """The stored manifest; where a HEAD found it, it is fetched."""
        if request.method == "HEAD":
            await response.close()
            query = {name: value for name, value in request.query.items() if name == "version-id"}
            headers = {name: value for name, value in request.headers.items() if name in ("x-newest", "x-open-expired")}
            asked = request.child("GET", request.path, query=query, headers=headers)
            asked.backend, asked.notes = request.backend, request.notes
            found = await self.application(asked)
            if not found.ok: raise Refused(404)
            body = await found.read(MANIFEST_BYTES * 4)
        else: body = await response.read(MANIFEST_BYTES * 4)
        kept: list[Kept] = msgspec.json.decode(body)
        return kept

    async def _show(self, request: Request, response: Response) -> Response:
        """?multipart-manifest=get"""
        if request.query.get("format") != "raw":
            response.headers["content-type"] = "application/json; charset=utf-8"
            return response
        if request.method == "HEAD": return response
        kept = await self._read(request, response)
        response.body = msgspec.json.encode(manifest.as_written(kept))
        digest = hashlib.md5(response.body, usedforsecurity=False).hexdigest()
        response.headers |= {"etag": digest, "content-length": str(len(response.body))}
        return response

    async def _delete(self, request: Request) -> Response:
        """?multipart-manifest=delete: the segments, then the manifest."""
        paths = await self._paths(request, request.path, 0)
        return await remove(request, self.application, [*paths, request.path], {})

    async def _paths(self, request: Request, path: str, depth: int) -> list[str]:
        version = {name: value for name, value in request.query.items() if name == "version-id" and path == request.path}
        asked = request.child("GET", path, query={"multipart-manifest": "get", **version}, source="SLO")
        found = await self.application(asked)
        if found.status in (401, 403): raise Refused(found.status, headers=found.headers)
        if found.status == 404: raise Refused(404)
        if not found.ok: raise Refused(500, f"Unable to load SLO manifest or segment {path}", PLAIN)
        if not is_true(found.headers.get("x-static-large-object")):
            await found.close()
            raise Refused(400, "Not an SLO manifest", PLAIN)
        kept: list[Kept] = msgspec.json.decode(await found.read(MANIFEST_BYTES * 4))
        prefix, paths = "/".join(path.split("/", 3)[:3]), []
        for entry in kept:
            if "data" in entry: continue
            inner = prefix + entry["name"]
            if entry.get("sub_slo") and depth < 10: paths += await self._paths(request, inner, depth + 1)
            paths.append(inner)
        return list(dict.fromkeys(paths))


def _check(entry: Entry, head: Response) -> Kept | str:
    """What is kept of a segment, or what is wrong with it."""
    if head.status != 200: return f"{head.status} {reason(head.status)}"
    etag, length = head.headers.get("etag", "").strip('"'), int(head.headers.get("content-length", "0"))
    if entry.get("etag") not in (None, "") and entry["etag"].strip('"') != etag: return "Etag Mismatch"
    if entry.get("size_bytes") is not None and entry["size_bytes"] != length: return "Size Mismatch"
    if length < 1: return "Too Small; each segment must be at least 1 byte."
    met = manifest.resolved(entry, length)
    if met is None: return "Unsatisfiable Range"
    modified = datetime.fromtimestamp(seconds(head.headers.get("last-modified")) or 0, UTC)
    kept: Kept = {"name": "/" + entry["path"].lstrip("/"), "bytes": length, "hash": etag,
                  "content_type": head.headers.get("content-type", ""), "last_modified": f"{modified:%Y-%m-%dT%H:%M:%S}.000000"}
    if entry.get("range"): kept["range"] = f"{met[0]}-{met[1] - 1}"
    if is_true(head.headers.get("x-static-large-object")): kept["sub_slo"] = True
    return kept


async def _whole(request: Request, most: int) -> bytes:
    if (request.length or 0) > most: raise Refused(413, f"Manifest File > {most} bytes", PLAIN)
    body = bytearray()
    async for piece in request.body:
        body += piece
        if len(body) > most: raise Refused(413, f"Manifest File > {most} bytes", PLAIN)
    if request.length is not None and len(body) < request.length: raise Refused(499)
    return bytes(body)


def _bare(response: Response) -> Response:
    for name in (ETAG, SIZE): response.headers.pop(name, None)
    return response


def _cut_to_part(request: Request, response: Response, body: Segments, number: int) -> None:
    """?part-number=: the bytes of one segment."""
    parts = [segment.length for segment in body.segments]
    response.headers["x-parts-count"] = str(len(parts))
    if number > len(parts):
        text = b"The requested part number is not satisfiable"
        response.status, response.body = 416, b"" if request.method == "HEAD" else text
        response.headers |= {"content-range": f"bytes */{body.length}", "content-type": PLAIN, "content-length": "0"}
        return
    begin = sum(parts[:number - 1])
    end = begin + parts[number - 1]
    response.status = 206
    response.headers |= {"content-range": f"bytes {begin}-{end - 1}/{body.length}", "content-length": str(end - begin)}
    response.body, response.on_close = body.read(begin, end), body.close
