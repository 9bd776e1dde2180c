"""Arithmetic over several series: the operations of the dynamic aggregates API; pure.

    ["aggregate", "mean", ["metric", ["cpu", "mean"], ["load", "mean"]]]      or as text: (aggregate mean (metric (cpu mean) (load mean)))

A `Grid` holds the series of one granularity on common instants, NaN where a series has nothing.
Source: Gnocchi REST API, "Dynamic aggregates"; what each operator does to missing values follows its documentation (that of NumPy).
"""
from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from msgspec import Struct

from pilvi.telemetry import errors
from pilvi.telemetry.aggregate import Sample, floor, quantile
from pilvi.telemetry.timespan import length

NAN = float("nan")
Column = list[float]
Node = list[Any] | float


class Grid(Struct):
    """Series side by side. `names`: of each series what operations call it by, [reference, method]; `single`: the result of a computation
    that is no longer one of the series."""
    granularity: float | str
    """Seconds, or a letter for a part of the calendar."""
    times: list[float]
    columns: list[Column]
    names: list[list[str]]
    single: bool = False


# -- functions of some values at one instant; None and NaN are left out


def _there(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _of(act: Callable[[list[float]], float]) -> Callable[[Sequence[float]], float]:
    def apply(values: Sequence[float]) -> float:
        there = _there(values)
        return act(there) if there else NAN

    return apply


TOGETHER: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": _of(lambda v: math.fsum(v) / len(v)), "median": _of(statistics.median), "std": _of(statistics.pstdev), "min": _of(min),
    "max": _of(max), "var": _of(statistics.pvariance), "sum": lambda v: math.fsum(_there(v)), "count": lambda v: float(len(_there(v)))}
RESAMPLE = {"mean", "median", "std", "min", "max", "sum", "count", "first", "last", *(f"{n}pct" for n in range(1, 100))}


def _guarded(act: Callable[[float, float], float]) -> Callable[[float, float], float]:
    def apply(a: float, b: float) -> float:
        try: value = act(a, b)
        except ZeroDivisionError: return NAN if not a or math.isnan(a) else math.copysign(math.inf, a)
        except (OverflowError, ValueError): return NAN
        return NAN if isinstance(value, complex) else float(value)

    return apply


def _largest(a: float, b: float) -> float:
    return b if math.isnan(a) else a if math.isnan(b) else max(a, b)


_BINARY: dict[str, tuple[tuple[str, ...], Callable[[float, float], float]]] = {
    "eq": (("=", "==", "eq"), lambda a, b: a == b), "lt": (("<", "lt"), lambda a, b: a < b), "gt": ((">", "gt"), lambda a, b: a > b),
    "le": (("<=", "≤", "le"), lambda a, b: a <= b), "ge": ((">=", "≥", "ge"), lambda a, b: a >= b),
    "ne": (("!=", "≠", "ne"), lambda a, b: a != b), "mod": (("%", "mod"), lambda a, b: a % b if b else NAN),
    "add": (("+", "add"), lambda a, b: a + b), "sub": (("-", "sub"), lambda a, b: a - b), "mul": (("*", "×", "mul"), lambda a, b: a * b),
    "div": (("/", "÷", "div"), lambda a, b: a / b), "pow": (("**", "^", "pow"), lambda a, b: a ** b),
    "clip_min": (("clip_min",), lambda a, b: NAN if math.isnan(a) else max(a, b)),
    "clip_max": (("clip_max",), lambda a, b: NAN if math.isnan(a) else min(a, b)), "max": (("max",), _largest)}
BINARY = {word: _guarded(act) for words, act in _BINARY.values() for word in words}


def _whole(act: Callable[[float], int]) -> Callable[[float], float]:
    return lambda v: float(act(v)) if math.isfinite(v) else v


def _wave(act: Callable[[float], float]) -> Callable[[float], float]:
    return lambda v: act(v) if math.isfinite(v) else NAN


UNARY: dict[str, Callable[[float], float]] = {
    "abs": abs, "absolute": abs, "neg": lambda v: -v, "negative": lambda v: -v, "cos": _wave(math.cos), "sin": _wave(math.sin),
    "tan": _wave(math.tan), "floor": _whole(math.floor), "ceil": _whole(math.ceil)}
CHANGES = ("rateofchange", "rateofchangesec")
METHODS = set(TOGETHER) | {f"rate:{method}" for method in TOGETHER}
MOST_NODES = 500
MOST_WORK = 10_000_000
"""Values that the operations of one expression may look at, those of a rolling window again for each of its places: seconds of work."""


# -- reading


def parsed(text: str) -> Any:
    """An expression in brackets as nested lists; brackets too many at its end do no harm. Raises Malformed."""
    stack: list[list[Any]] = [[]]
    for word in re.findall(r"[()]|[^\s()]+", text):
        if word == "(": stack.append([])
        elif word == ")":
            if len(stack) < 2:
                if stack[0]: break
                raise _unreadable(text)
            done = stack.pop()
            stack[-1].append(done)
        else: stack[-1].append(word)
        if len(stack) > 60: raise _unreadable(text)
    if len(stack) != 1 or len(stack[0]) != 1 or not isinstance(stack[0][0], list): raise _unreadable(text)
    return stack[0][0]


def _unreadable(text: str) -> errors.Malformed:
    return errors.Malformed(reason="Fail to parse the operations string", description={
        "cause": "Invalid operations", "reason": "Fail to parse the operations string", "detail": text[:200]})


def checked(given: Any) -> list[Any]:
    """An expression (text or lists), checked, with its numbers as numbers. Raises Malformed."""
    tree = parsed(given) if isinstance(given, str) else given
    left = [MOST_NODES]
    node = _node(tree, left, top=True)
    assert isinstance(node, list)
    return node


def _wrong(reason: str) -> errors.Malformed:
    return errors.Malformed(reason=reason, description={"cause": "Invalid input", "reason": reason, "detail": ["operations"]})


def _node(node: Any, left: list[int], *, top: bool = False) -> Node:
    left[0] -= 1
    if left[0] < 0: raise _wrong(f"more than {MOST_NODES} operations")
    if not isinstance(node, list):
        if top: raise _wrong("expected a list or an expression in brackets")
        try: return float(node)
        except (TypeError, ValueError): raise _wrong(f"'{str(node)[:60]}' is neither a number nor an operation") from None
    if not node: raise _wrong("Operation must not be empty")
    if len(node) < 2: raise _wrong("Operation need at least one argument")
    word, method = str(node[0]), str(node[1])
    if word == "metric": return _metric(node)
    if word == "aggregate" and len(node) == 3 and method in METHODS: return [word, method, _node(node[2], left)]
    if word == "resample" and len(node) == 4 and method in RESAMPLE: return [word, method, _step(node[2]), _node(node[3], left)]
    if word == "rolling" and len(node) == 4 and method in METHODS: return [word, method, _window(node[2]), _node(node[3], left)]
    if (word in UNARY or word in CHANGES) and len(node) == 2: return [word, _node(node[1], left)]
    if (word in BINARY and len(node) == 3) or (word == "clip" and len(node) in (3, 4)):
        return [word, *(_node(part, left) for part in node[1:])]
    raise _wrong(f"'{word[:60]}' operation invalid")


def _metric(node: list[Any]) -> list[Any]:
    if len(node) == 3 and all(isinstance(part, str) for part in node[1:]): return ["metric", node[1:]]
    for part in node[1:]:
        if not (isinstance(part, list) and len(part) == 2 and all(isinstance(word, str) for word in part)):
            raise _wrong("'metric' takes a reference and a method, or several such pairs")
    return list(node)


def _window(value: Any) -> int:
    try: window = int(value)
    except (TypeError, ValueError): raise _wrong("the window must be a whole number") from None
    if window < 1: raise _wrong("the window must be at least 1")
    return window


def _step(value: Any) -> float | str:
    try: return resampling(value, "")
    except errors.Malformed as failure: raise _wrong(failure.message) from None


def resampling(value: Any, argument: str) -> float | str:
    """What to resample to: seconds, or a letter for a part of the calendar (Y, H, Q, M, W). Raises Malformed."""
    if isinstance(value, str) and value in CALENDAR: return value
    try: return length(value)
    except ValueError as failure: raise errors.argument(argument, str(failure)) from None


def references(node: Any) -> list[tuple[str, str]]:
    """What an expression refers to: (metric, method), each once, in order."""
    found: dict[tuple[str, str], None] = {}
    if isinstance(node, list):
        if node[0] == "metric": return list(dict.fromkeys((metric, method) for metric, method in node[1:]))
        for part in node[1:]: found |= dict.fromkeys(references(part))
    return list(found)


# -- computing


def evaluate(node: Node, grid: Grid) -> Grid | float:
    """The value of an expression over the series. Raises Malformed for series that do not fit together, and for too much work."""
    return _evaluated(node, grid, [MOST_WORK])


def _evaluated(node: Node, grid: Grid, left: list[int]) -> Grid | float:
    if not isinstance(node, list): return node
    word = node[0]
    left[0] -= len(grid.times) * len(grid.columns) * (min(node[2], len(grid.times)) if word == "rolling" else 1)
    if left[0] < 0: raise _wrong(f"the operations look at more than {MOST_WORK} values: take fewer measures, or shorter windows")
    if word == "metric": return _chosen(node, grid)
    if word in ("aggregate", "resample", "rolling"):
        inner = _evaluated(node[-1], grid, left)
        if not isinstance(inner, Grid): raise _wrong(f"'{word}' needs a metric")
        if word == "aggregate": return _aggregate(node[1], inner)
        return resampled(node[1], node[2], inner) if word == "resample" else _rolling(node[1], node[2], inner)
    if word == "clip": return _clip([_evaluated(part, grid, left) for part in node[1:]])
    if word in BINARY: return _binary(word, _evaluated(node[1], grid, left), _evaluated(node[2], grid, left), node)
    inner = _evaluated(node[1], grid, left)
    if not isinstance(inner, Grid):
        if word in UNARY: return UNARY[word](inner)
        raise _wrong(f"'{word}' needs a metric")
    if word in UNARY: return _with(inner, inner.times, [[UNARY[word](value) for value in column] for column in inner.columns])
    return _change(word, inner)


def _with(grid: Grid, times: list[float], columns: list[Column], *, single: bool | None = None) -> Grid:
    return Grid(grid.granularity, times, columns, grid.names, grid.single if single is None else single)


def _chosen(node: list[Any], grid: Grid) -> Grid:
    places = [place for place, name in enumerate(grid.names) if name in node[1:]]
    return Grid(grid.granularity, grid.times, [grid.columns[place] for place in places], [grid.names[place] for place in places],
                grid.single)


def _aggregate(method: str, grid: Grid) -> Grid:
    act = TOGETHER[method.removeprefix("rate:")]
    column = [act(values) for values in zip(*grid.columns, strict=True)]
    if not method.startswith("rate:"): return _with(grid, grid.times, [column], single=True)
    return _with(grid, grid.times[1:], [_steps(column)], single=True)


def _steps(column: Column) -> Column:
    return [late - early for early, late in pairwise(column)]


def _rolling(method: str, window: int, grid: Grid) -> Grid:
    if window > len(grid.times):
        raise errors.not_aggregable(grid.names, f"Rolling window '{window}' is greater than serie length '{len(grid.times)}'")
    act = TOGETHER[method.removeprefix("rate:")]
    columns = [[act(column[end - window:end]) for end in range(window, len(column) + 1)] for column in grid.columns]
    if not method.startswith("rate:"): return _with(grid, grid.times[window - 1:], columns)
    return _with(grid, grid.times[window:], [_steps(column) for column in columns])


def resampled(method: str, step: float | str, grid: Grid) -> Grid:
    """The series on longer buckets, or on those of the calendar."""
    begin = CALENDAR[step] if isinstance(step, str) else lambda at: floor(at, step)
    made: list[dict[float, float]] = []
    for column in grid.columns:
        buckets: dict[float, list[float]] = {}
        for at, value in zip(grid.times, column, strict=True):
            if not math.isnan(value): buckets.setdefault(begin(at), []).append(value)
        made.append({at: _over(values, method) for at, values in buckets.items()})
    times = sorted({at for column in made for at in column})
    return Grid(step, times, [[column.get(at, NAN) for at in times] for column in made], grid.names, grid.single)


def _over(values: list[float], method: str) -> float:
    if method in ("first", "last"): return values[0 if method == "first" else -1]
    if method == "std": return statistics.stdev(values) if len(values) > 1 else NAN
    return TOGETHER[method](values) if method in TOGETHER else quantile(values, method)


def _binary(word: str, a: Grid | float, b: Grid | float, node: list[Any]) -> Grid | float:
    act = BINARY[word]
    if not isinstance(a, Grid): return _with(b, b.times, [[act(a, v) for v in c] for c in b.columns]) if isinstance(b, Grid) else act(a, b)
    if not isinstance(b, Grid): return _with(a, a.times, [[act(v, b) for v in c] for c in a.columns])
    if a.times != b.times or a.granularity != b.granularity or (len(a.columns) != len(b.columns) and 1 not in (len(a.columns),
                                                                                                         len(b.columns))):
        raise errors.not_aggregable(a.names + b.names, f"Can't compute timeseries with different granularity {node[1]} <> {node[2]}")
    wide = max(len(a.columns), len(b.columns))
    left, right = (side.columns * (wide if len(side.columns) == 1 else 1) for side in (a, b))
    columns = [[act(x, y) for x, y in zip(c, d, strict=True)] for c, d in zip(left, right, strict=True)]
    return _with(a if len(a.columns) == wide else b, a.times, columns, single=True)


def _clip(parts: list[Grid | float]) -> Grid:
    grid, low, high = parts[0], parts[1], parts[2] if len(parts) > 2 else math.inf
    if not isinstance(grid, Grid) or isinstance(low, Grid) or isinstance(high, Grid): raise _wrong("'clip' takes a metric and two numbers")
    return _with(grid, grid.times, [[v if math.isnan(v) else min(max(v, low), high) for v in column] for column in grid.columns])


def _change(word: str, grid: Grid) -> Grid:
    if word == "rateofchange": return _with(grid, grid.times[1:], [_steps(column) for column in grid.columns])
    seconds = _steps(grid.times)
    return _with(grid, grid.times, [[NAN, *(step / s for step, s in zip(_steps(column), seconds, strict=True))][:len(column)]
                                    for column in grid.columns])


# -- putting series side by side


def side_by_side(granularity: float, series: Sequence[Sequence[Sample]], names: list[list[str]], fill: str | float | None) -> Grid:
    """The series on all their instants; `fill`: a number or null, dropna, ffill, bfill, full_ffill, full_bfill for what is missing."""
    times = sorted({at for one in series for at, _ in one})
    filler = fill if isinstance(fill, int | float) else NAN
    columns = []
    for one in series:
        known = dict(one)
        column = [known.get(at, filler) for at in times]
        for way in {"ffill": "f", "bfill": "b", "full_ffill": "fb", "full_bfill": "bf"}.get(str(fill), ""): column = _filled(column, way)
        columns.append(column)
    return Grid(granularity, times, columns, names)


def _filled(column: Column, way: str) -> Column:
    found, last = [], NAN
    for value in column if way == "f" else reversed(column):
        last = value if not math.isnan(value) else last
        found.append(last)
    return found if way == "f" else found[::-1]


def overlapping(grid: Grid, needed_percent: float, *, bounded: tuple[bool, bool]) -> Grid:
    """The part of the grid between the first and the last instant at which all series have a value (a side that the caller `bounded` stays
    as it is). Raises Malformed where they share too few instants."""
    both = [place for place, values in enumerate(zip(*grid.columns, strict=True)) if not any(map(math.isnan, values))]
    if not both and needed_percent > 0: raise errors.not_aggregable(grid.names, "No overlap")
    if not grid.times: return grid
    first = both[0] if both and not bounded[0] else 0
    last = both[-1] + 1 if both and not bounded[1] else len(grid.times)
    percent = len(both) * 100.0 / (last - first)
    if percent < needed_percent:
        raise errors.not_aggregable(grid.names, f"Less than {needed_percent:f}% of datapoints overlap in this timespan ({percent:.2f}%)")
    return _with(grid, grid.times[first:last], [column[first:last] for column in grid.columns])


# -- the calendar


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _month(at: float, months: int) -> float:
    moment = _moment(at)
    return datetime(moment.year, (moment.month - 1) // months * months + 1, 1, tzinfo=UTC).timestamp()


CALENDAR: dict[str, Callable[[float], float]] = {
    "Y": lambda at: _month(at, 12), "H": lambda at: _month(at, 6), "Q": lambda at: _month(at, 3), "M": lambda at: _month(at, 1),
    "W": lambda at: floor(at, 86400.0) - _moment(at).isoweekday() % 7 * 86400.0}
"""The begin of the year, half, quarter, month and week (on Sunday) of an instant."""
