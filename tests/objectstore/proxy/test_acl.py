"""Access control lists."""
from __future__ import annotations

import pytest

from pilvi.objectstore.proxy.acl import account_problem, clean, parse, referrer_allowed


@pytest.mark.parametrize(("given", "kept"), [
    (".r:*, .rlistings", ".r:*,.rlistings"), (".ref: *.example.com", ".r:.example.com"), (".referrer:-x.com,a:b", ".r:-x.com,a:b"),
    ("", "")])
def test_clean(given: str, kept: str) -> None:
    assert clean("x-container-read", given) == kept


@pytest.mark.parametrize(("header", "given"), [
    ("x-container-write", ".r:*"), ("x-container-read", ".r:"), ("x-container-read", ".x:y"), ("x-container-read", ".r:-")])
def test_what_is_refused(header: str, given: str) -> None:
    with pytest.raises(ValueError, match="ACL"): clean(header, given)


def test_referrers() -> None:
    allowed, names = parse(".r:*,.r:-.evil.com,two%3Ax:*")
    assert names == ["two:x:*"]
    assert referrer_allowed("http://good.com/x", allowed) and referrer_allowed(None, allowed)
    assert not referrer_allowed("http://www.evil.com/x", allowed) and not referrer_allowed("http://x", [])


def test_accounts() -> None:
    assert account_problem('{"admin": ["a"], "read-only": []}') is None
    for bad in ("yuck", "[]", '{"owner": []}', '{"admin": "a"}', '{"admin": [1]}'): assert account_problem(bad)
