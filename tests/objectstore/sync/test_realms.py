"""Realms of container sync: the file, where a wish leads, and the signature."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilvi.objectstore.sync.realms import Realms, UnknownTarget, signature

FILE = """[DEFAULT]
mtime_check_interval = 300

[Us]
key = secret%1
key2 = old
cluster_Dallas = https://dallas/v1/
cluster_here = http://here:5001/v1

[empty]
cluster_a = http://a/v1/
"""


def test_the_signature_is_upstreams() -> None:
    """The example of upstream's own tests (test_container_sync_realms)."""
    assert signature("GET", "/some/path", "1387212345.67890", "my_nonce", "realm_key", "user_key") == \
        "5a6eb486eb7b44ae1b1f014187a94529c3f9c8f9"


def test_where_a_wish_leads(tmp_path: Path) -> None:
    (tmp_path / "realms").write_text(FILE)
    realms = Realms(str(tmp_path / "realms"))
    assert realms.target("//us/DALLAS/AUTH_a/c") == ("https://dallas/v1/AUTH_a/c", "US", "secret%1")
    assert realms.target("//US/here/AUTH_a/c")[0] == "http://here:5001/v1/AUTH_a/c"
    for wish, reason in (("//us/dallas/a", "Invalid"), ("http://x/v1/a/c", "Invalid"), ("//them/dallas/a/c", "No realm key for 'them'"),
                         ("//empty/a/a/c", "No realm key"), ("//us/paris/a/c", "No cluster endpoint for 'us' 'paris'")):
        with pytest.raises(UnknownTarget, match=reason): realms.target(wish)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "realms"
    assert Realms("").all() == {} and Realms(str(path)).all() == {}
    path.write_text(FILE)
    realms = Realms(str(path))
    assert set(realms.all()) == {"US", "EMPTY"}
    path.write_text("[other]\nkey = k\n")
    os.utime(path, ns=(1, 1))
    assert set(realms.all()) == {"OTHER"}
