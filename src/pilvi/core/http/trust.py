"""Whose certificates this process believes when it speaks TLS: the system's authorities, and the cloud's own (DIR/ca.pem)."""
from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

AUTHORITIES: list[Path] = []


def believe(authority: Path) -> None:
    """From now on certificates that this file's authorities signed are good too. Without the file nothing changes."""
    if authority.exists() and authority not in AUTHORITIES:
        AUTHORITIES.append(authority)
        context.cache_clear()


@cache
def context() -> ssl.SSLContext:
    """For clients: TLS 1.2 or later; the other end has to show a certificate for the name that it was called by."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    for authority in AUTHORITIES: made.load_verify_locations(authority)
    return made
