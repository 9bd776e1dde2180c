"""Programs in a process of their own: they answer, are stopped, and begin anew."""
from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pilvi.core.apart import Apart


@pytest.fixture
def expressions() -> Iterator[Apart]:
    made = Apart("pilvi.orchestration.template.expression")
    yield made
    made.close()


def test_it_answers_from_many_threads(expressions: Apart) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda n: expressions.ask(["$.data * 2", n]), range(20))) == [2 * n for n in range(20)]


def test_what_it_cannot_do_is_said(expressions: Apart) -> None:
    with pytest.raises(ValueError): expressions.ask(["$.data / 0", 1])
    with pytest.raises(ValueError, match="Bad data"): expressions.ask(["$.data", object()])
    assert expressions.ask(["$.data", None]) is None


def test_a_process_that_was_killed_is_begun_anew(expressions: Apart) -> None:
    assert expressions.ask(["1", None]) == 1
    child = expressions._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert expressions.ask(["2", None]) == 2


def test_an_answer_too_long_is_refused(expressions: Apart) -> None:
    with pytest.raises(ValueError, match="too much"): expressions.ask(["list($.data, $.data, $.data, $.data, $.data)", "a" * 1_000_000])
    assert expressions.ask(["1", None]) == 1
