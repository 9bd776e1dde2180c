"""Options of identity."""
from __future__ import annotations

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    token_seconds: int = 3600
    """How long a token lives, in seconds."""
    password_rounds: int = 12
    """bcrypt's cost: a hash takes 2^rounds steps (12: about a quarter of a second)."""
    trusted_dashboards: list[str] = []
    """Addresses that a browser which signed in elsewhere may take its token to, beside this cloud's own dashboard."""
    key_rotation_seconds: int = 86_400
    """How often a new token key becomes primary, in seconds. Old keys stay until no token of theirs can be alive."""
