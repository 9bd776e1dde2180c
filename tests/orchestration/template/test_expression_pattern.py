"""yaql's functions for regular expressions are the library's, but for patterns that could go on for ever."""
from __future__ import annotations

from typing import Any

import pytest
import yaql

from pilvi.orchestration.template.expression import evaluate

EXPRESSIONS = [
    'regex("a+").matches("xaay")', '"xaay".matches("a+$")', '"xaay" =~ "a+"', '"xaay" !~ "a+"', '"x" !~ regex("x")',
    '"x" =~ regex("X", ignoreCase => true)', 'regex("(a+)(y)").search("xaay", $2.value + $3.value)', 'regex("b").search("xaay")',
    'regex("a").searchAll("aba").toList()', 'regex("a(.)").searchAll("abac", $2.value).toList()',
    'regex("-").split("a-b-c", maxSplit => 1)', '"a-b".split(regex("-"))', '"a-b".split("-")', 'regex("a").replace("aXa", "b")',
    '"aXa".replace(regex("a"), "b", 1)', '"aXa".replace("a", "b")', 'regex("a").replaceBy("aXa", "b")',
    '"aXa".replaceBy(regex("a"), "b")', 'isRegex(regex("a"))', 'isRegex("a")', 'escapeRegex("a.b")', '$.data.where($ =~ "^a")']


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_they_are_the_librarys(expression: str) -> None:
    data: dict[str, Any] = {"data": ["a", "b"]}
    engine = yaql.YaqlFactory().create(options={"yaql.convertTuplesToLists": True, "yaql.convertOutputData": True})
    meant = engine(expression).evaluate(data=data, context=yaql.create_context())
    assert evaluate(expression, data["data"]) == meant


def test_no_pattern_goes_on_for_ever() -> None:
    endless, hostile = "(a+)+$", "a" * 60 + "b"
    for expression in (f'regex("{endless}").matches("{hostile}")', f'"{hostile}".matches("{endless}")', f'"{hostile}" =~ "{endless}"',
                       f'not ("{hostile}" !~ "{endless}")'):
        assert evaluate(expression, None) is False
    with pytest.raises(ValueError, match="not a regular expression"): evaluate('regex("(?=a)").matches("a")', None)
