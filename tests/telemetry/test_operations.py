"""The operations of the dynamic aggregates API."""
from __future__ import annotations

import math
from typing import Any

import pytest

from pilvi.core.errors import Invalid
from pilvi.telemetry import operations
from pilvi.telemetry.operations import Grid

NAMES = [["a", "mean"], ["b", "mean"]]


def grid(*columns: list[float], granularity: float = 60.0) -> Grid:
    return Grid(granularity, [granularity * place for place in range(len(columns[0]))], list(columns), NAMES[:len(columns)])


def value(text: str, given: Grid) -> Grid:
    found = operations.evaluate(operations.checked(text), given)
    assert isinstance(found, Grid)
    return found


@pytest.mark.parametrize("text,expected", [
    ("(aggregate mean (metric (a mean) (b mean)))", [5.5, 11.0]), ("(aggregate sum (metric (a mean) (b mean)))", [11.0, 22.0]),
    ("(- (metric b mean) (metric a mean))", [9.0, 18.0]), ("(/ (metric a mean) 0)", [math.inf, math.inf]),
    ("(* (+ (metric a mean) 1) 2)", [4.0, 6.0]), ("(negative (metric a mean))", [-1.0, -2.0]), ("(> (metric a mean) 1)", [0.0, 1.0]),
    ("(clip_max (metric b mean) 15)", [10.0, 15.0]), ("(clip (metric b mean) 12 15)", [12.0, 15.0]),
    ("(rolling max 2 (metric a mean))", [2.0]), ("(rateofchange (metric b mean))", [10.0]),
    ("(aggregate rate:sum (metric (a mean) (b mean)))", [11.0]), ("(resample sum 120 (metric b mean))", [30.0]),
])
def test_an_operation_of_two_series(text: str, expected: list[float]) -> None:
    assert value(text, grid([1.0, 2.0], [10.0, 20.0])).columns[0] == expected


def test_change_per_second_begins_with_nothing() -> None:
    found = value("(rateofchangesec (metric a mean))", grid([60.0, 180.0])).columns[0]
    assert math.isnan(found[0]) and found[1:] == [2.0]


@pytest.mark.parametrize("text", [
    "metric", "()", "(metric)", "(metric a)", "(nonsense (metric a mean))", "(aggregate wat (metric a mean))", "((((",
    "(rolling mean 0 (metric a mean))",
    "(resample mean never (metric a mean))", "(+ (metric a mean))", "(" * 500 + ")" * 500, "(+ " * 55 + "1" + " 1)" * 55 + "(",
])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Invalid): operations.checked(text)


@pytest.mark.parametrize("tree", [["aggregate", {}, ["metric", "a", "mean"]], ["aggregate", [[]], 1], ["resample", "mean", {}, 1], [[], []],
                                  ["rolling", "mean", None, 1], {"x": 1}, 5, None])
def test_trees_of_nonsense_are_refused(tree: object) -> None:
    with pytest.raises(Invalid): operations.checked(tree)


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(Invalid): operations.checked(["+", *[["metric", "a", "mean"]] * 2][:1] + [["max", ["metric", "a", "mean"], 1]] * 600)


@pytest.mark.parametrize("fill,expected", [
    ("ffill", [1.0, 1.0, 3.0]), ("bfill", [1.0, 3.0, 3.0]), (0.0, [1.0, 0.0, 3.0]), ("full_ffill", [1.0, 1.0, 3.0])])
def test_missing_values_are_filled(fill: str | float, expected: list[float]) -> None:
    found = operations.side_by_side(60.0, [[(0.0, 1.0), (120.0, 3.0)], [(0.0, 1.0), (60.0, 1.0), (120.0, 1.0)]], NAMES, fill)
    assert found.columns[0] == expected


def test_series_must_overlap() -> None:
    apart = operations.side_by_side(60.0, [[(0.0, 1.0), (60.0, 1.0)], [(60.0, 2.0), (120.0, 2.0)]], NAMES, None)
    assert operations.overlapping(apart, 100.0, bounded=(False, False)).times == [60.0]
    with pytest.raises(Invalid): operations.overlapping(apart, 100.0, bounded=(True, True))
    assert operations.overlapping(apart, 30.0, bounded=(True, True)).times == [0.0, 60.0, 120.0]


@pytest.mark.parametrize("letter,begin", [("Y", 1735689600), ("H", 1751328000), ("Q", 1759276800), ("M", 1761955200), ("W", 1763856000)])
def test_parts_of_the_calendar(letter: str, begin: float) -> None:
    assert operations.CALENDAR[letter](1764115200.0) == begin  # Wednesday, 26 November 2025


def test_windows_over_long_series_are_bounded() -> None:
    long = grid([1.0] * 20_000)
    assert len(value("(rolling mean 100 (metric a mean))", long).times) == 19_901
    with pytest.raises(Invalid, match="look at more than"): value("(rolling mean 10000 (metric a mean))", long)
    many: list[Any] = ["metric", "a", "mean"]
    for _ in range(450): many = ["abs", many]
    with pytest.raises(Invalid, match="look at more than"): operations.evaluate(operations.checked(many), grid([1.0] * 30_000))
