"""Users' regular expressions: those of Python's syntax do what they do there, and none takes long."""
from __future__ import annotations

import re

import pytest

from pilvi.core.pattern import Pattern, linear, sqlite_regexp

ENDLESS = "(a+)+$"
HOSTILE = "a" * 60 + "b"
"""`re` would need longer than anybody lives to say that ENDLESS does not fit it."""


@pytest.mark.parametrize("pattern", [
    "a", "^a", "a$", "[0-9]+", "x|a", "é", "", ".*", "(?i)A", "a{2,3}", "(?=.*[0-9])(?=.*[a-z]).{2,}",
    "(?<!x)a", r"(a)\1", r"a\Z", "(?P<n>a)(?P=n)"])
def test_patterns_mean_what_they_mean_in_python(pattern: str) -> None:
    for text in ("a", "xa", "aa", "A", "1a", "é1", "x", ""):
        assert Pattern(pattern).search(text) == bool(re.search(pattern, text)), text
        assert Pattern(pattern).fits(text) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize("pattern", [
    "[", "(", "{0}", "a**", "a{2,1}", "\\", "(?=a", r"\1", "((a{1000}){1000}){1000}", "(?=x{99999999999})"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"): Pattern(pattern)


def test_an_endless_pattern_ends() -> None:
    assert not Pattern(ENDLESS).search(HOSTILE)
    assert not Pattern(ENDLESS).fits(HOSTILE)
    with pytest.raises(ValueError, match="takes too much time"): Pattern("(?=a)" + ENDLESS).search(HOSTILE)
    with pytest.raises(ValueError, match="takes too much time"): Pattern(r"(a+)\1" + ENDLESS).fits(HOSTILE)


def test_the_database_tries_only_what_is_linear() -> None:
    assert sqlite_regexp("^w", "web") and not sqlite_regexp("^e", "web") and sqlite_regexp("x", None) is None
    assert sqlite_regexp(ENDLESS, HOSTILE) is False
    with pytest.raises(ValueError): linear("(?=a)")
