"""The query language: text and JSON say the same."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.core.errors import Invalid
from pilvi.telemetry import search


@pytest.mark.parametrize("text,tree", [
    ("a = 1", {"=": {"a": 1.0}}), ("a != 'x y'", {"!=": {"a": "x y"}}), ("a like 'x%'", {"like": {"a": "x%"}}), ("a = null",
                                                                                                                 {"=": {"a": None}}),
    ("a = True", {"=": {"a": True}}), ("a in [1, 'b']", {"in": {"a": [1.0, "b"]}}), ("not a = 1", {"not": {"=": {"a": 1.0}}}),
    ("id = f93450f2-d8a5-4d67-9985-02511241e7d1", {"=": {"id": "f93450f2-d8a5-4d67-9985-02511241e7d1"}}),
    ("a = 1 or b > 2 and c ≤ 3", {"or": [{"=": {"a": 1.0}}, {"and": [{">": {"b": 2.0}}, {"<=": {"c": 3.0}}]}]}),
    ("(a = 1 or b = 2) and not (c = 3)", {"and": [{"or": [{"=": {"a": 1.0}}, {"=": {"b": 2.0}}]}, {"not": {"=": {"c": 3.0}}}]}),
])
def test_text_as_a_tree(text: str, tree: dict[str, Any]) -> None:
    assert search.parsed(text) == tree == search.checked(tree)


@pytest.mark.parametrize("text", ["", "a", "a =", "= 1", "a = 1 and", "(a = 1", "a = [1", "a in []", "a ~ 1", "a = 1 b = 2", "(" * 200,
                                  "x" * 20_000])
def test_text_that_is_no_query(text: str) -> None:
    with pytest.raises(Invalid): search.parsed(text)


@pytest.mark.parametrize("tree", [[], {"a": 1, "b": 2}, {"and": []}, {"and": {}}, {"=": {}}, {"=": {"a": {}}}, {"in": {"a": []}},
                                  {"in": {"a": 1}},
                                  {"or": [{"=": {"id": "x"}}] * 1000}, {"wat": {"a": 1}}, {"like": {"id": "x"}}, {"not": []}])
def test_trees_that_are_no_query(tree: Any) -> None:
    with pytest.raises(Invalid): search.checked(tree)


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try: search.parsed(text)
    except Invalid: pass


def test_queries_over_values() -> None:
    odd_and_large = search.predicate({"and": [{">=": 50}, {"=": [{"%": 2}, 1]}]})
    assert [value for value in (49, 50, 51, 52, 53) if odd_and_large(value)] == [51, 53]
    assert not search.predicate({">": [{"**": [9, {"**": [9, 99]}]}, 1]})(1.0)  # too large for any machine: no number
    for wrong in ({}, {"wat": 1}, {"and": 1}, {"=": [1]}, {"=": "x"}, {"like": 1}, {"and": [{">": 1}] * 60}):
        with pytest.raises(Invalid): search.predicate(wrong)
