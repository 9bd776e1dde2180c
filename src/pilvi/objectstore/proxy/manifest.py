"""The manifest of a static large object: what a client may write, and what is kept. Pure.

Source: Object Storage API, "Static large objects".
"""
from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy import ranges
from pilvi.objectstore.proxy.message import PLAIN
from pilvi.objectstore.proxy.segments import Segment

MANIFEST_BYTES = 8 * 1024 * 1024
MOST_SEGMENTS, MOST_ENTRIES = 10_000, 20_000
"""Objects, and entries with inline data among them: all are looked at on the event loop."""
BYTES_MOST = 2**63 - 1
KEYS = {"path", "etag", "size_bytes", "range"}

Entry = dict[str, Any]
"""As the client wrote it: {path, etag, size_bytes, range} or {data}; `range` as text."""
Kept = dict[str, Any]
"""As it is stored: {name, hash, bytes, content_type, last_modified, range, sub_slo} or {data}."""


def parse(body: bytes, own_path: str) -> list[Entry]:
    """The entries of a client's manifest for the object at /container/object. Raises Refused with what is wrong, line by line."""
    try: given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError): raise Refused(400, "Manifest must be valid JSON.\n", PLAIN) from None
    if not isinstance(given, list): raise Refused(400, "Manifest must be a list.\n", PLAIN)
    if sum(isinstance(entry, dict) and "path" in entry for entry in given) > MOST_SEGMENTS:
        raise Refused(413, f"Number of object-backed segments must be <= {MOST_SEGMENTS}", PLAIN)
    if len(given) > MOST_ENTRIES: raise Refused(413, f"Number of segments must be <= {MOST_ENTRIES}", PLAIN)
    problems: list[str] = []
    for index, entry in enumerate(given):
        problem = _problem(entry, own_path)
        if problem: problems.append(f"Index {index}: {problem}\n")
    if given and not problems and all("data" in entry for entry in given):
        problems.append("Inline data segments require at least one object-backed segment.\n")
    if problems: raise Refused(400, "".join(problems), PLAIN)
    return given


def _problem(entry: Any, own_path: str) -> str | None:
    if not isinstance(entry, dict): return "not a JSON object"
    if "path" not in entry and "data" not in entry: return "expected keys to include path or data"
    if "data" in entry: return _data_problem(entry)
    if extra := set(entry) - KEYS: return f"extraneous keys {', '.join(repr(key) for key in sorted(map(str, extra)))}"
    path = entry["path"]
    if not isinstance(path, str): return "path must be a string"
    if path.strip("/").count("/") == 0 or not path.lstrip("/").partition("/")[2] or "//" in path[:2]:
        return "path does not refer to an object. Path must be of the form /container/object."
    if "\0" in path: return "path holds a NUL"
    if "/" + path.lstrip("/") == own_path: return "manifest must not include itself as a segment"
    size = entry.get("size_bytes")
    if size is not None:
        try: entry["size_bytes"] = size = int(size)
        except (ValueError, TypeError): return "invalid size_bytes"
        if size < 1: return "too small; each segment must be at least 1 byte."
    if entry.get("etag") is not None and not isinstance(entry["etag"], str): return "etag must be a string"
    return _range_problem(entry, size)


def _range_problem(entry: Entry, size: int | None) -> str | None:
    given = entry.get("range")
    if not given: return None
    wanted = ranges.parse(f"bytes={given}") if isinstance(given, str) else None
    if wanted is None: return "invalid range"
    if len(wanted) > 1: return "multiple ranges (only one allowed)"
    if size is not None and not ranges.resolve(wanted, size): return "unsatisfiable range"
    return None


def _data_problem(entry: Entry) -> str | None:
    if extra := set(entry) - {"data"}: return f"extraneous keys {', '.join(repr(key) for key in sorted(map(str, extra)))}"
    try: raw = base64.b64decode(entry["data"], validate=True)
    except (binascii.Error, ValueError, TypeError): return "data must be valid base64"
    return None if raw else "too small; each segment must be at least 1 byte"


def resolved(entry: Entry, length: int) -> tuple[int, int] | None:
    """(begin, end) of an entry's range in a segment of that length; None: it can't be met."""
    if not entry.get("range"): return 0, length
    wanted = ranges.parse(f"bytes={entry['range']}")
    met = ranges.resolve(wanted or [], length)
    return met[0] if len(met) == 1 else None


def etag_of(kept: list[Kept]) -> str:
    """The large object's etag: the MD5 of its segments' etags, with the ranges."""
    digest = hashlib.md5(usedforsecurity=False)
    for entry in kept:
        if "data" in entry: text = hashlib.md5(base64.b64decode(entry["data"]), usedforsecurity=False).hexdigest()
        else: text = f"{entry['hash']}:{entry['range']};" if entry.get("range") else entry["hash"]
        digest.update(text.encode())
    return digest.hexdigest()


def segments_of(kept: list[Kept]) -> list[Segment]:
    """The body's segments."""
    found = []
    for entry in kept:
        if "data" in entry:
            data = base64.b64decode(entry["data"])
            found.append(Segment("", 0, len(data), data=data))
            continue
        begin, end = resolved(entry, entry["bytes"]) or (0, entry["bytes"])
        found.append(Segment(entry["name"], begin, end, entry["hash"], entry["bytes"]))
    return found


def as_written(kept: list[Kept]) -> list[Entry]:
    """The manifest as a client would write it (`format=raw`)."""
    return [entry if "data" in entry else {"path": entry["name"], "etag": entry["hash"], "size_bytes": entry["bytes"],
                                           **({"range": entry["range"]} if entry.get("range") else {})} for entry in kept]
