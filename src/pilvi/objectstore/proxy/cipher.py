"""Encryption at rest: keys derived from root secrets, bodies and texts in AES-256-CTR. Pure.

Each object's body has a random key of its own, wrapped by a key that is derived from the root secret and the object's path; so a root
secret can be rotated without rewriting, and the same bytes never look the same twice. Integrity is the checksums' business (audit).
"""
from __future__ import annotations

import base64
import hmac
import os

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from msgspec import Struct

BLOCK = 16
KEY_BYTES = 32


class BodyKey(Struct, frozen=True):
    """What is kept with an encrypted object, in base64: its key, wrapped, and both starts of the counter; `id` names the root secret."""
    id: str
    key: str
    key_iv: str
    iv: str


class NoSecret(Exception):
    """An object was encrypted with a root secret that the configuration does not have any more."""


class Keyring:
    """The root secrets; new things use the last."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self.secrets = {id: base64.b64decode(text, validate=True) for id, text in secrets.items()}
        for id, secret in self.secrets.items():
            if len(secret) < KEY_BYTES: raise ValueError(f"the root secret {id!r} has {len(secret)} bytes, at least {KEY_BYTES} are needed")
        self.newest = list(secrets)[-1] if secrets else ""

    def key(self, id: str, path: str) -> bytes:
        """The key of an object or container. Raises NoSecret."""
        if id not in self.secrets: raise NoSecret(id)
        return hmac.digest(self.secrets[id], path.encode("utf-8", "surrogateescape"), "sha256")

    def new_body(self, path: str) -> tuple[BodyKey, bytes]:
        """(what is kept, the body's key) for a new object."""
        key, key_iv, iv = os.urandom(KEY_BYTES), os.urandom(BLOCK), os.urandom(BLOCK)
        wrapped = stream(self.key(self.newest, path), key_iv).update(key)
        return BodyKey(self.newest, _text(wrapped), _text(key_iv), _text(iv)), key

    def unwrap(self, kept: BodyKey, path: str) -> bytes:
        """The body's key. Raises NoSecret."""
        return stream(self.key(kept.id, path), raw(kept.key_iv)).update(raw(kept.key))

    def seal(self, text: str, path: str) -> str:
        """A text encrypted with the key of a path: `id.iv.bytes`."""
        iv = os.urandom(BLOCK)
        sealed = stream(self.key(self.newest, path), iv).update(text.encode("utf-8", "surrogateescape"))
        return f"{_text(self.newest.encode())}.{_text(iv)}.{_text(sealed)}"

    def open(self, sealed: str, path: str) -> str:
        """The reverse. Raises NoSecret."""
        id, iv, data = (raw(part) for part in sealed.split("."))
        return stream(self.key(id.decode(), path), iv).update(data).decode("utf-8", "surrogateescape")


def stream(key: bytes, iv: bytes, offset: int = 0) -> CipherContext:
    """A cipher that stands at an offset of the stream; it encrypts and decrypts alike."""
    counter = (int.from_bytes(iv, "big") + offset // BLOCK) % (1 << 128)
    context = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(BLOCK, "big"))).encryptor()
    context.update(bytes(offset % BLOCK))
    return context


def encode(kept: BodyKey) -> str:
    """As a header's value."""
    return msgspec.json.encode(kept).decode()


def decode(text: str) -> BodyKey:
    """The reverse."""
    return msgspec.json.decode(text, type=BodyKey)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def raw(text: str) -> bytes:
    """Bytes of base64."""
    return base64.urlsafe_b64decode(text)
