"""Listings: their parameters, and their lines as text, JSON and XML. Pure.

Inside the chain a listing is `Listing` in `response.notes["listing"]`, so middleware changes lines, not text; middleware/listing_formats.py
renders it at the outside.
Source: Object Storage API, "Show account details and list containers", "Show container details and list objects".
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import ContainerEntry, ListQuery, ObjectEntry, Subdir
from pilvi.objectstore.policies import Policies
from pilvi.objectstore.proxy.constraints import LISTING
from pilvi.objectstore.proxy.message import PLAIN, Request, well_formed

Line = dict[str, Any]
"""{name, hash, bytes, content_type, last_modified}, {name, count, bytes, last_modified} or {subdir}."""


@dataclass(slots=True)
class Listing:
    """A page. `kind`: account or container; `name`: of which."""
    kind: str
    name: str
    lines: list[Line]


FORMATS = {"json": "application/json", "xml": "application/xml", "plain": "text/plain", "text": "text/plain"}
COLUMNS = {"container": ("name", "count", "bytes", "last_modified"), "object": ("name", "hash", "bytes", "content_type", "last_modified")}
ACCEPTED = ("text/plain", "application/json", "application/xml", "text/xml")


def query_of(request: Request) -> ListQuery:
    """The parameters of a listing. Raises Refused."""
    given = request.query
    for value in given.values():
        if not well_formed(value, nul=True): raise Refused(400, "Invalid UTF8 in parameters", PLAIN)
    limit = LISTING
    if given.get("limit"):
        if not given["limit"].isdecimal(): raise Refused(412, "Value of limit must be a positive integer", PLAIN)
        limit = int(given["limit"][:12])
        if limit > LISTING: raise Refused(412, f"Maximum limit is {LISTING}", PLAIN)
    return ListQuery(limit=limit, marker=given.get("marker", ""), end_marker=given.get("end_marker", ""), prefix=given.get("prefix", ""),
                     delimiter=given.get("delimiter", ""), path=given.get("path"),
                     reverse=given.get("reverse", "").lower() in ("true", "1", "yes", "on", "t", "y"), reserved=request.reserved_names)


def object_lines(entries: Iterable[ObjectEntry | Subdir]) -> list[Line]:
    """A container's lines."""
    return [{"subdir": entry.name} if isinstance(entry, Subdir) else
            {"bytes": entry.size, "hash": entry.etag, "name": entry.name, "content_type": entry.content_type,
             "last_modified": timestamp.iso(entry.timestamp)} for entry in entries]


def container_lines(entries: Iterable[ContainerEntry | Subdir], policies: Policies) -> list[Line]:
    """An account's lines."""
    return [{"subdir": entry.name} if isinstance(entry, Subdir) else
            {"name": entry.name, "count": entry.objects, "bytes": entry.size, "last_modified": timestamp.iso(entry.timestamp),
             "storage_policy": policies[entry.policy].name} for entry in entries]


def wanted_format(request: Request) -> str:
    """The media type that ?format= or Accept asks for. Raises Refused (406)."""
    asked = request.query.get("format")
    if asked is not None: return FORMATS.get(asked.lower(), "text/plain")
    accept = request.headers.get("accept")
    if not accept or accept.strip() == "*/*": return "text/plain"
    best, best_key = "", (0.0, 0)
    for place, piece in enumerate(accept.split(",")):
        kind, _, rest = piece.strip().lower().partition(";")
        quality = _quality(rest)
        for offer in ACCEPTED:
            if quality <= 0 or not _covers(kind.strip(), offer): continue
            if (key := (quality, -place)) > best_key or not best:
                best, best_key = offer, key
            break
    if not best: raise Refused(406)
    return best


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try: return float(value)
            except ValueError: raise Refused(400, "Invalid Accept header", PLAIN) from None
    return 1.0


def _covers(kind: str, offer: str) -> bool:
    return kind in ("*/*", "*", offer) or (kind.endswith("/*") and offer.startswith(kind[:-1]))


def render(listing: Listing, media_type: str) -> bytes:
    """The page's bytes."""
    if media_type == "application/json": return msgspec.json.encode(listing.lines)
    if media_type == "text/plain": return "".join(f"{line.get('name', line.get('subdir'))}\n" for line in listing.lines).encode()
    item, name = ("container", "account") if listing.kind == "account" else ("object", "container")
    pieces = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} name={quoteattr(listing.name)}>']
    pieces += [_xml(line, item) for line in listing.lines]
    return "".join([*pieces, f"</{name}>"]).encode()


def _xml(line: Line, item: str) -> str:
    if "subdir" in line: return f"<subdir name={quoteattr(line['subdir'])}><name>{escape(line['subdir'])}</name></subdir>"
    order = COLUMNS[item]
    names = [*order, *sorted(line.keys() - set(order))]
    return f"<{item}>" + "".join(f"<{name}>{escape(str(line[name]))}</{name}>" for name in names if name in line) + f"</{item}>"
