"""What is in a token, sealed with Fernet: an encrypted, signed, compact record that needs no database to be read.

Source: the Fernet specification; Keystone's token payloads (the idea, not the bytes).
"""
from __future__ import annotations

import base64
import os
from typing import TypeVar

import msgspec
from cryptography.fernet import InvalidToken, MultiFernet
from msgspec import Struct

LONGEST = 4096
Sealed = TypeVar("Sealed", bound=Struct)


class Payload(Struct, array_like=True):
    """`scope` is project, domain, system or "" (unscoped). `audit_ids`: this token's, then that of the first of its chain.
    `delegation`: (kind, id) of what stands for the user: trust, application_credential, access_token.
    `federated`: (identity provider, protocol, ids of the groups that it vouched for)."""
    user_id: str
    methods: list[str]
    scope: str
    scope_id: str
    issued_at: float
    expires_at: float
    audit_ids: list[str]
    delegation: tuple[str, str] | None = None
    federated: tuple[str, str, list[str]] | None = None


class Receipt(Struct, array_like=True, tag="receipt"):
    """Proof that a user passed some methods, where its rules ask for more."""
    user_id: str
    methods: list[str]
    issued_at: float
    expires_at: float


def new_audit_id() -> str:
    """A name for a new token that may be told and logged."""
    return base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")


def seal(keys: MultiFernet, payload: Struct) -> str:
    """The token. Its tail's padding is cut: '=' would need quoting in a shell or URL."""
    return keys.encrypt(msgspec.msgpack.encode(payload)).decode().rstrip("=")


def looks_sealed(text: str) -> bool:
    """Might it be a token? (Of all Fernet records the first byte is the version, and then a date comes.)"""
    return text.startswith("gAAAAA") and len(text) <= LONGEST


def unseal(keys: MultiFernet, text: str, kind: type[Sealed]) -> Sealed | None:
    """What is in a token or receipt; None if it is not ours, of another kind, or damaged."""
    if len(text) > LONGEST: return None
    try: return msgspec.msgpack.decode(keys.decrypt(text.encode() + b"=" * (-len(text) % 4)), type=kind)
    except (InvalidToken, msgspec.DecodeError, UnicodeEncodeError, TypeError, ValueError): return None
