"""Names of versions, and the listing that shows them. Pure.

The versions of container `c` lie in a hidden container; one of object `o` is named so that the newest sorts first. A version's id is its
timestamp; what was there before versioning began, or while it is suspended, is the version `null`.
"""
from __future__ import annotations

from collections.abc import Iterable

from pilvi.objectstore import timestamp
from pilvi.objectstore.proxy.listing import Line

PREFIX = "\0versions\0"
LATEST = 9_999_999_999 * timestamp.TICKS + timestamp.TICKS - 1
MARKER = "application/x-deleted;swift_versions_deleted=1"
"""The content type of a delete marker."""
LINK, LINK_BYTES = "versions_link", "versions_bytes"
"""Parameters in a listing's etag: the version an object is, and its bytes. The link itself counts as 0 bytes, its version for itself."""


def container_of(container: str) -> str:
    """Where a container's versions lie."""
    return PREFIX + container


def name_of(name: str, version: int) -> str:
    """A version's name there."""
    return f"{PREFIX}{name}\0{timestamp.text(LATEST - version)}"


def parse(hidden: str) -> tuple[str, str]:
    """(object, version id) of a hidden name."""
    name, _, inverted = hidden.removeprefix(PREFIX).rpartition("\0")
    return name, timestamp.text(LATEST - timestamp.parse(inverted))


def split_link(line: Line) -> str | None:
    """Takes the parameter off a listing's line; the version id, or None for a plain object."""
    etag = line.get("hash", "")
    if LINK not in etag: return None
    parts = [part.strip() for part in etag.split(";")]
    facts = dict(part.split("=", 1) for part in parts if part.startswith((LINK, LINK_BYTES)))
    line["hash"] = "; ".join(part for part in parts if not part.startswith((LINK, LINK_BYTES)))
    line["bytes"] = int(facts.get(LINK_BYTES, 0))
    return str(facts[LINK])


def link_parameters(version: str, size: int) -> str:
    """What a link's etag in the listing ends with."""
    return f"; {LINK}={version}; {LINK_BYTES}={size}"


def hidden_marker(marker: str, version: str | None, reverse: bool) -> str:
    """Where the hidden listing begins for ?marker= and ?version_marker=. Raises ValueError."""
    if not marker: return ""
    if version is None: return f"{PREFIX}{marker}\0" + ("" if reverse else ":")  # ':' sorts after all digits
    if version == "null": return f"{PREFIX}{marker}\0"
    return name_of(marker, timestamp.parse(version))


def merge(hidden: Iterable[Line], plain: Iterable[Line], reverse: bool, seen: str) -> list[Line]:
    """All versions in order: names, and of a name the newest first. `seen`: the name whose first versions are not among `hidden`."""
    links: dict[str, str] = {}
    rows: list[tuple[str, int, Line]] = []
    for line in plain:
        link = split_link(line)
        links[line["name"]] = link or "null"
        if link is None: rows.append((line["name"], 0, line | {"version_id": "null", "is_latest": True}))
    newest: dict[str, str] = {}
    older: list[tuple[str, str, Line]] = []
    for line in hidden:
        name, version = parse(line["name"])
        newest[name] = max(version, newest.get(name, ""))
        older.append((name, version, line))
    for name, version, line in older:
        latest = links.get(name)
        first = latest is None and version == newest[name] and name != seen and line["content_type"] == MARKER
        row = line | {"name": name, "version_id": version, "is_latest": version == latest or first}
        rows.append((name, LATEST - timestamp.parse(version), row))
    return [line for _, _, line in sorted(rows, key=lambda row: row[:2], reverse=reverse)]


def fold(lines: Iterable[Line], prefix: str, delimiter: str) -> list[Line]:
    """Names with the delimiter after the prefix become one line."""
    found: list[Line] = []
    for line in lines:
        at = line["name"].find(delimiter, len(prefix)) if delimiter else -1
        folder = line["name"][:at + len(delimiter)]
        if at < 0: found.append(line)
        elif not found or found[-1].get("subdir") != folder: found.append({"subdir": folder})
    return found
