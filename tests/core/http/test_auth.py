"""Access rules of application credentials."""
from __future__ import annotations

import time

import pytest

from pilvi.core.http.auth import within


@pytest.mark.parametrize(("rule", "path", "fits"), [
    ("/v2.1/servers", "/v2.1/servers", True), ("/v2.1/servers", "/v2.1/servers/", False), ("/v2.1/servers", "/v2.1/servers\n", False),
    ("/v2.1/*", "/v2.1/servers", True), ("/v2.1/*", "/v2.1/servers/a", False), ("/v2.1/**", "/v2.1/servers/a", True),
    ("/v1/{account}/c", "/v1/AUTH_x/c", True), ("/v1/{account}/c", "/v1//c", False), ("/v1/a.b", "/v1/axb", False),
    ("/v1/a b#&~{", "/v1/a b#&~{", True), ("/v1/ä*", "/v1/äö", True), ("/v1/*", "/v1/\udcff", True)])
def test_patterns(rule: str, path: str, fits: bool) -> None:
    assert within([{"service": "s", "method": "GET", "path": rule}], ("s",), "GET", path) is fits


def test_no_pattern_takes_longer_than_its_path() -> None:
    began = time.thread_time()
    rule = {"service": "s", "method": "GET", "path": "/" + "**a" * 40 + "**b"}
    assert not within([rule], ("s",), "GET", "/" + "a" * 60_000)
    assert time.thread_time() - began < 5
