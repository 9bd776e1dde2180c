"""What is in a token, sealed with Fernet: an encrypted, signed, compact record that needs no database to be read.

Source: the Fernet specification; Keystone's token payloads (the idea, not the bytes).
"""
from __future__ import annotations

import msgspec
from cryptography.fernet import InvalidToken, MultiFernet
from msgspec import Struct


class Payload(Struct, array_like=True):
    """`scope` is project, domain, system or "" (unscoped). `audit_ids`: this token's, then that of the first of its chain."""
    user_id: str
    methods: list[str]
    scope: str
    scope_id: str
    issued_at: float
    expires_at: float
    audit_ids: list[str]


def seal(keys: MultiFernet, payload: Payload) -> str:
    """The token. Its tail's padding is cut: '=' would need quoting in a shell or URL."""
    return keys.encrypt(msgspec.msgpack.encode(payload)).decode().rstrip("=")


def unseal(keys: MultiFernet, token: str) -> Payload | None:
    """The payload, None if the token is not ours or is damaged."""
    if len(token) > 1024: return None
    try: return msgspec.msgpack.decode(keys.decrypt(token.encode() + b"=" * (-len(token) % 4)), type=Payload)
    except (InvalidToken, msgspec.DecodeError, UnicodeEncodeError, TypeError, ValueError): return None
