"""Passcodes against the vectors of RFC 6238."""
from __future__ import annotations

import base64

import pytest

from pilvi.identity.signature import passcode

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(("now", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")])
def test_the_vectors(now: int, code: str) -> None:
    assert passcode.of(SECRET, now // 30) == code and passcode.fits(SECRET.lower().rstrip("="), code, now + 30)
    assert not passcode.fits(SECRET, code, now + 60) and not passcode.fits("not base32!", code, now)
