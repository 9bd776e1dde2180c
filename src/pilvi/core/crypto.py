"""Secrets: random words, password hashes, signed grants, key files.

Passwords are bcrypt (compatible with Keystone's hashes). A grant is a signed, expiring statement of which things an agent may touch.
Fernet is used through `cryptography`; the keys of tokens belong to identity alone.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
import uuid
from pathlib import Path
from typing import Any

import bcrypt
import msgspec


def new_id() -> str:
    """A UUID with dashes (compute, image, network, volume)."""
    return str(uuid.uuid4())


def new_hex_id() -> str:
    """A UUID without dashes (identity)."""
    return uuid.uuid4().hex


def new_password() -> str:
    """At least 120 bits, safe in a URL and a shell."""
    return secrets.token_urlsafe(18)


def hash_password(password: str, rounds: int) -> str:
    """A bcrypt hash, as Keystone's. Costs 2^rounds: call it outside any transaction."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode()


def check_password(password: str, hashed: str) -> bool:
    """Does the password fit? Takes as long for a wrong one."""
    return bcrypt.checkpw(_digest(password), hashed.encode())


def _digest(password: str) -> bytes:
    raw = password.encode()  # bcrypt takes 72 bytes without a NUL; a longer secret is condensed first, so that none of it is ignored
    return raw if len(raw) <= 72 and b"\0" not in raw else base64.b64encode(hashlib.sha512(raw).digest())[:72]


def sign(key: bytes, statement: dict[str, Any]) -> str:
    """A statement with its HMAC-SHA256, as URL-safe text."""
    body = msgspec.msgpack.encode(statement)
    return base64.urlsafe_b64encode(hmac.digest(key, body, "sha256") + body).decode()


def verify(key: bytes, text: str, now: float) -> dict[str, Any] | None:
    """The statement if its signature holds and its `expires` has not passed, else None."""
    try:
        raw = base64.urlsafe_b64decode(text.encode())
        if not hmac.compare_digest(raw[:32], hmac.digest(key, raw[32:], "sha256")): return None
        statement = msgspec.msgpack.decode(raw[32:])
    except (ValueError, msgspec.DecodeError):
        return None
    return statement if isinstance(statement, dict) and statement.get("expires", 0) > now else None


def secret_file(path: Path, make: Any = new_password) -> str:
    """The text in the file; made with mode 0600 if it is not there yet. Whole or absent: written beside and renamed."""
    if path.exists(): return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(descriptor, "w") as file: file.write(make())
    try: os.link(beside, path)
    except FileExistsError: pass
    finally: os.unlink(beside)
    return path.read_text().strip()
