"""Limits on names, metadata and uploads, and the texts that say which one was met. Pure.

Source: Object Storage API, `GET /info` (its names and defaults); upstream's constraints.
"""
from __future__ import annotations

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Request, size_of, well_formed

FILE_BYTES = 5 * 1024**3 + 2
META_NAME_BYTES = 128
META_VALUE_BYTES = 256
META_COUNT = 90
META_BYTES = 4096
HEADER_BYTES = 8192
OBJECT_NAME_BYTES = 1024
CONTAINER_NAME_BYTES = 256
ACCOUNT_NAME_BYTES = 256
LISTING = 10_000
OWNERS = ("x-container-read", "x-container-write", "x-container-sync-key", "x-container-sync-to", "x-account-meta-temp-url-key",
          "x-account-meta-temp-url-key-2", "x-container-meta-temp-url-key", "x-container-meta-temp-url-key-2", "x-account-access-control")
"""What only an account's owner may see and set."""
LIMITS = {
    "max_file_size": FILE_BYTES, "max_meta_name_length": META_NAME_BYTES, "max_meta_value_length": META_VALUE_BYTES,
    "max_meta_count": META_COUNT, "max_meta_overall_size": META_BYTES, "max_header_size": HEADER_BYTES,
    "max_object_name_length": OBJECT_NAME_BYTES, "container_listing_limit": LISTING, "account_listing_limit": LISTING,
    "max_account_name_length": ACCOUNT_NAME_BYTES, "max_container_name_length": CONTAINER_NAME_BYTES, "extra_header_count": 0,
}


def check_metadata(request: Request, kind: str) -> None:
    """Raises Refused where the x-<kind>-meta-… headers break a limit."""
    prefix, count, total = f"x-{kind}-meta-", 0, 0
    for name, value in request.headers.items():
        if size_of(value) > HEADER_BYTES: raise Refused(400, f"Header value too long: {name[:META_NAME_BYTES]}", PLAIN)
        if not name.startswith(prefix): continue
        key = name[len(prefix):]
        if not key: raise Refused(400, "Metadata name cannot be empty", PLAIN)
        if not (well_formed(value) and well_formed(name)): raise Refused(400, "Metadata must be valid UTF-8", PLAIN)
        count, total = count + 1, total + size_of(key) + size_of(value)
        if size_of(key) > META_NAME_BYTES: raise Refused(400, f"Metadata name too long: {prefix}{key}", PLAIN)
        if size_of(value) > META_VALUE_BYTES:
            raise Refused(400, f"Metadata value longer than {META_VALUE_BYTES}: {prefix}{key}", PLAIN)
        if count > META_COUNT: raise Refused(400, f"Too many metadata items; max {META_COUNT}", PLAIN)
        if total > META_BYTES: raise Refused(400, f"Total metadata too large; max {META_BYTES}", PLAIN)


def check_total(kind: str, kept: dict[str, str], given: dict[str, str]) -> None:
    """Raises Refused where what is kept and what is given are too much together."""
    merged = {name: value for name, value in {**kept, **given}.items() if value and name.startswith(f"x-{kind}-meta-")}
    if len(merged) > META_COUNT: raise Refused(400, f"Too many metadata items; max {META_COUNT}", PLAIN)
    if sum(size_of(name) - len(f"x-{kind}-meta-") + size_of(value) for name, value in merged.items()) > META_BYTES:
        raise Refused(400, f"Total metadata too large; max {META_BYTES}", PLAIN)


def check_upload(request: Request, name: str) -> None:
    """Raises Refused where an upload's head breaks a limit."""
    transfer = request.headers.get("transfer-encoding")
    if transfer is not None and transfer.lower() != "chunked":
        raise Refused(501, "Unsupported Transfer-Coding header value specified in Transfer-Encoding header", PLAIN)
    length = request.length
    if length is None and transfer is None: raise Refused(411, "Missing Content-Length header.", PLAIN)
    if length is not None and length > FILE_BYTES: raise Refused(413, "Your request is too large.", PLAIN)
    check_object_name(name)
    kind = request.headers.get("content-type", "")
    if not well_formed(kind): raise Refused(400, "Content-Type must be valid UTF-8", PLAIN)
    check_metadata(request, "object")


def check_object_name(name: str) -> None:
    """Raises Refused for a name that is too long."""
    if size_of(name) > OBJECT_NAME_BYTES: raise Refused(400, f"Object name length of {size_of(name)} longer than {OBJECT_NAME_BYTES}")


def check_container_name(name: str) -> None:
    """Raises Refused for a name that is too long or has a slash."""
    if size_of(name) > CONTAINER_NAME_BYTES:
        raise Refused(400, f"Container name length of {size_of(name)} longer than {CONTAINER_NAME_BYTES}")


def delete_at(request: Request, now: float) -> None:
    """Turns X-Delete-After into X-Delete-At and checks it. Raises Refused."""
    headers = request.headers
    after = headers.pop("x-delete-after", None)
    if after is not None and after != "":
        try: headers["x-delete-at"] = str(int(now + int(after)))
        except ValueError: raise Refused(400, "Non-integer X-Delete-After", PLAIN) from None
        if int(after) <= 0: raise Refused(400, "X-Delete-After in past", PLAIN)
    at = headers.get("x-delete-at")
    if at is None or at == "": return
    try: moment = int(at)
    except ValueError: raise Refused(400, "Non-integer X-Delete-At", PLAIN) from None
    if moment <= now: raise Refused(400, "X-Delete-At in past", PLAIN)
    headers["x-delete-at"] = str(min(moment, 9_999_999_999))
