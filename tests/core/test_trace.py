"""Spans: what is recorded, and how it travels."""
from __future__ import annotations

import pytest

from pilvi.core import trace


def test_only_what_the_story_names_is_recorded() -> None:
    with trace.step("a", "x", "y", "http"): pass
    with trace.active(trace.Trace("server", 1)) as story:
        assert story is not None
        with trace.step(None, "x", "y", "http"): pass
        with trace.step("boot.03", "x", "y", "http", size=1) as carried: carried["more"] = 2
        trace.mark("boot.04", "x", "y", "http")
    trace.mark("boot.05", "x", "y", "http")
    assert [span.name for span in story.spans] == ["boot.03", "boot.04"]
    assert story.spans[0].carried == {"size": 1, "more": 2} and story.spans[0].seconds >= 0


def test_a_failure_is_recorded_and_goes_on() -> None:
    with trace.active(trace.Trace()) as story, pytest.raises(ValueError), trace.step("a", "x", "y", "http"): raise ValueError("no")
    assert story is not None and story.spans[0].carried["failed"] == "ValueError: no"


def test_a_story_travels_and_its_spans_come_back() -> None:
    caller = trace.Trace("server", 2)
    callee = trace.from_header(caller.header(validate="boot.04"))
    assert callee is not None and (callee.subject, callee.attempt, callee.steps) == ("server", 2, {"validate": "boot.04"})
    with trace.active(callee): trace.mark("boot.04", "a", "b", "http")
    caller.take(trace.encode(callee.spans))
    assert caller.spans == callee.spans
    caller.take(None)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '["a", "b", {}]', '["a", 1, {"x": 2}]', "null"])
def test_a_damaged_header_is_no_story(text: str | None) -> None:
    assert trace.from_header(text) is None
