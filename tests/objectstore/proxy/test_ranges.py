"""Ranges."""
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pilvi.objectstore.proxy.ranges import parse, resolve


@pytest.mark.parametrize(("header", "found"), [
    ("bytes=0-4", [(0, 4)]), ("bytes=-3, 5-", [(None, 3), (5, None)]), ("bytes=", None), ("bytes=a-b", None), ("bytes=4-1", None),
    ("items=0-4", None), (None, None), ("bytes=-", None), ("bytes=" + "9" * 60 + "-", None)])
def test_parse(header: str | None, found: object) -> None:
    assert parse(header) == found


@given(some.lists(some.tuples(some.integers(0, 50), some.integers(0, 50)), max_size=5), some.integers(0, 40))
def test_what_is_met_lies_within(pairs: list[tuple[int, int]], length: int) -> None:
    wanted: list[tuple[int | None, int | None]] = [(min(pair), max(pair)) for pair in pairs]
    assert all(0 <= begin < end <= length for begin, end in resolve(wanted, length))


def test_attacks_are_not_met() -> None:
    assert resolve([(n * 2, n * 2) for n in range(51)], 1000) == []
    assert resolve([(0, 9)] * 4, 10) == []
    assert resolve([(90 - n * 5, 90 - n * 5) for n in range(10)], 100) == []


def test_blanks_take_no_time() -> None:
    began = time.thread_time()
    assert parse("bytes=" + " " * 200_000 + "x") is None
    assert time.thread_time() - began < 5
