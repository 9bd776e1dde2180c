"""Documents from outside: what must not cost more than its length, and messages with the place."""
from __future__ import annotations

import time

import pytest

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import document


def test_dates_stay_text_and_aliases_work() -> None:
    assert document.load("v: 2016-04-08\nt: 2001-12-14t21:59:43.10-05:00\na: &x [1]\nb: *x") == {
        "v": "2016-04-08", "t": "2001-12-14t21:59:43.10-05:00", "a": [1], "b": [1]}


@pytest.mark.parametrize(("text", "said"), [
    ("a: b: c", "line 1, column 5"), ("a: [1, 2", "line 2"), ("x:\n  - &a [*a]",
                                                              "contains itself at line 2"), ("a: !!python/object:os.x {}", "line 1"),
    ("[" * 100 + "]" * 100, "nested too deeply at line 1"), ("\x01", "Error parsing"), ("a: 1\n---\nb: 2", "line 2"),
])
def test_what_is_refused_names_the_place(text: str, said: str) -> None:
    with pytest.raises(TemplateInvalid) as failure: document.load(text)
    assert said in failure.value.message


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    began = time.perf_counter()
    with pytest.raises(TemplateInvalid, match="more than 100000 values"): document.load("\n".join(lines))
    assert time.perf_counter() - began < 30  # not the ages that a hundred thousand million values would take


def test_a_long_document_is_refused_unread() -> None:
    with pytest.raises(TemplateInvalid, match="maximum allowed size"): document.load("a: " + "x" * 600_000)


def test_a_document_that_is_no_mapping() -> None:
    assert document.load_map("", "template") == {}
    with pytest.raises(TemplateInvalid, match="not a JSON object or YAML mapping"): document.load_map("- a", "template")


def test_values_that_came_as_json_have_the_same_bounds() -> None:
    deep: list[object] = []
    for _ in range(70): deep = [deep]
    with pytest.raises(TemplateInvalid, match="nested too deeply"): document.check_value(deep, "template")
    with pytest.raises(TemplateInvalid, match="more than"): document.check_value([0] * 100_001, "template")
