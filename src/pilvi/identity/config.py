"""Options of identity."""
from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field. Zero switches a rule off."""
    token_seconds: int = 3600
    """How long a token lives, in seconds."""
    password_rounds: int = 12
    """bcrypt's cost: a hash takes 2^rounds steps (12: about a quarter of a second). Older hashes follow when their user signs in."""
    trusted_dashboards: list[str] = []
    """Addresses that a browser which signed in elsewhere may take its token to, beside this cloud's own dashboard."""
    key_rotation_seconds: int = 86_400
    """How often a new token key becomes primary, in seconds. Old keys stay until no token of theirs can be alive."""
    limit_model: Literal["flat", "strict_two_level"] = "flat"
    """How unified limits of projects and domains depend on each other."""
    lockout_attempts: int = 0
    """So many wrong passwords in a row lock a user out."""
    lockout_seconds: int = 1800
    """How long a user stays locked out, in seconds."""
    password_expires_days: float = 0
    """After so many days a password must be changed before its user can sign in."""
    password_minimum_days: float = 0
    """A user may change a password again only after so many days."""
    remembered_passwords: int = 0
    """So many passwords, the present one included, that a user may not choose again."""
    password_regex: str = ""
    """What a new password must match."""
    password_regex_description: str = ""
    """The same in words, for people."""
    change_at_first_use: bool = False
    """Must a user change a password that an administrator has set?"""
    audit_days: float = 400
    """For so many days the audit log is kept."""
    idle_days: float = 0
    """A user that has not signed in for so many days is switched off."""
