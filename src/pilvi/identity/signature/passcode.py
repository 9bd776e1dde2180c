"""Passcodes that follow from a secret and the time.

Source: RFC 6238 (TOTP: HMAC-SHA1, six digits, steps of 30 seconds) over RFC 4226; the secret is in base32.
"""
from __future__ import annotations

import base64
import binascii
import hmac

STEP_SECONDS, DIGITS, EARLIER_STEPS = 30, 6, 1


def of(secret: str, step: int) -> str:
    """The passcode of a step. Raises ValueError for a secret that is not base32."""
    try: key = base64.b32decode(secret.strip().upper() + "=" * (-len(secret.strip()) % 8))
    except binascii.Error as failure: raise ValueError("the secret is not base32") from failure
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    return str((int.from_bytes(mac[at:at + 4], "big") & 0x7FFFFFFF) % 10**DIGITS).zfill(DIGITS)


def fits(secret: str, passcode: str, now: float) -> bool:
    """Is it the passcode of now, or of the step before?"""
    step = int(now) // STEP_SECONDS
    try: return any(hmac.compare_digest(of(secret, step - back).encode(), passcode.encode()) for back in range(EARLIER_STEPS + 1))
    except ValueError: return False
