"""SSH keys: fingerprints, checks, and making a pair. Pure but for the random number generator.

Source: RFC 4253 section 6.6 (public keys), RFC 4716 section 4 (MD5 fingerprints, which Nova shows).
"""
from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


class KeyInvalid(ValueError):
    """The text is not an SSH public key."""


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint of an OpenSSH public key line: pairs of hex digits. Raises KeyInvalid."""
    parts = public_key.strip().split()
    if len(parts) < 2: raise KeyInvalid("failed to generate fingerprint")
    try: blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError): raise KeyInvalid("failed to generate fingerprint") from None
    length = int.from_bytes(blob[:4], "big")
    if blob[4:4 + length] != parts[0].encode(): raise KeyInvalid(f"the key says it is {parts[0]} and holds something else")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i:i + 2] for i in range(0, 32, 2))


def generate() -> tuple[str, str]:
    """(public key line, private key in PEM): RSA of 2048 bits, as Nova makes."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode() + " Generated-by-Pilvi", pem.decode()
