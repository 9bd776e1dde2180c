"""Secrets: password hashes, signed grants, key files."""
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.core import crypto


@pytest.mark.parametrize("password", ["secret", "ä" * 36, "x" * 72, "x" * 73, "x" * 4000, "a\0b", ""])
def test_a_password_fits_its_own_hash_only(password: str) -> None:
    hashed = crypto.hash_password(password, 4)
    assert crypto.check_password(password, hashed)
    assert not crypto.check_password(password + "x", hashed)
    assert not crypto.check_password(password[:-1] + "!", hashed)


def test_hashes_of_keystone_are_understood() -> None:
    made_by_bcrypt = "$2b$04$OX0MLgNkQtwnAp1OItt0jebXyK7dX8si8CeJMDYXZRq5eqtWSeYsy"
    assert crypto.check_password("openstack", made_by_bcrypt)
    assert not crypto.check_password("Openstack", made_by_bcrypt)


def test_a_grant_holds_until_it_expires() -> None:
    text = crypto.sign(b"key", {"things": {"server": ["a"]}, "expires": 100})
    assert crypto.verify(b"key", text, 99.0) == {"things": {"server": ["a"]}, "expires": 100}
    assert crypto.verify(b"key", text, 100.0) is None
    assert crypto.verify(b"other", text, 99.0) is None


@settings(max_examples=200)
@given(st.integers(min_value=0, max_value=10_000), st.text(alphabet="ABCDEFab_-=+/é\ud800 ", max_size=8))
def test_a_changed_grant_is_none(at: int, put: str) -> None:
    text = crypto.sign(b"key", {"things": {}, "expires": 100})
    at %= len(text)
    changed = text[:at] + put + text[at + len(put):]
    found = crypto.verify(b"key", changed, 0.0)
    assert found is None or found == {"things": {}, "expires": 100}


def test_a_secret_file_is_made_once_for_all(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master"
    with ThreadPoolExecutor(8) as pool: found = set(pool.map(lambda _: crypto.secret_file(path), range(32)))
    assert len(found) == 1 and path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["master"]
