"""Access control lists of containers and accounts: their form, and whom they let in. Pure.

A container's list: `.r:*`, `.r:.example.com`, `.r:-thief.example.com` (referrers), `.rlistings`, and names of users and projects.
Source: Object Storage API, "Access Control Lists (ACLs)".
"""
from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

REFERRER = (".r", ".ref", ".referer", ".referrer")
RIGHTS = ("read-only", "read-write", "admin")


def clean(name: str, value: str) -> str:
    """The list in its one form. Raises ValueError with the API's text."""
    entries = []
    for raw in value.split(","):
        entry = raw.strip()
        if not entry: continue
        first, colon, second = (part.strip() for part in entry.partition(":"))
        if not colon or not first.startswith("."):
            entries.append(entry)
        elif first in REFERRER:
            if "write" in name: raise ValueError(f"Referrers not allowed in write ACL: {entry!r}")
            entries.append(_referrer(entry, second))
        else:
            raise ValueError(f"Unknown designator {first!r} in ACL: {entry!r}")
    return ",".join(entries)


def _referrer(entry: str, host: str) -> str:
    negate = host.startswith("-")
    if negate: host = host[1:].strip()
    if host and host != "*" and host.startswith("*"): host = host[1:].strip()
    if not host or host == ".": raise ValueError(f"No host/domain value after referrer designation in ACL: {entry!r}")
    return f".r:{'-' if negate else ''}{host}"


def parse(value: str | None) -> tuple[list[str], list[str]]:
    """(referrers, names) of a cleaned list; `.rlistings` is among the names. Names may be percent-encoded."""
    referrers, names = [], []
    for entry in (value or "").split(","):
        if entry.startswith(".r:"): referrers.append(entry[3:])
        elif entry: names.append(unquote(entry))
    return referrers, names


def referrer_allowed(referrer: str | None, allowed: list[str]) -> bool:
    """Whether a Referer header is let in; later entries count more."""
    allow, host = False, _host(referrer)
    for entry in allowed:
        forbid, wanted = entry.startswith("-"), entry.removeprefix("-")
        if wanted == "*" or wanted == host or (wanted.startswith(".") and host.endswith(wanted)): allow = not forbid
    return allow


def _host(referrer: str | None) -> str:
    try: return urlsplit(referrer or "").hostname or "unknown"
    except ValueError: return "unknown"


def parse_account(value: str | None) -> dict[str, list[str]] | None:
    """{right: names} of an account's list (JSON); None where it is not well formed, {} where it is empty."""
    if not value: return {}
    try: data: Any = msgspec.json.decode(value)
    except msgspec.DecodeError: return None
    return data if isinstance(data, dict) else None


def account_problem(value: str) -> str | None:
    """Why an account's list is refused, or None."""
    data = parse_account(value)
    if data is None: return f"X-Account-Access-Control syntax error: {value!r}"
    for right, names in data.items():
        if right not in RIGHTS: return f"unrecognized key {right!r}; X-Account-Access-Control has the keys {', '.join(RIGHTS)}"
        if not isinstance(names, list): return f"value of {right!r} must be a list"
        if bad := [name for name in names if not isinstance(name, str)]: return f"{right!r} holds {bad[0]!r}, which is no text"
    return None
