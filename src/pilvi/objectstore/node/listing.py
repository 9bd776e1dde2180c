"""A page of names out of an index: prefix, delimiter, markers, reverse, path. Pure but for the `fetch` it is given.

Source: Object Storage API, "Show container details and list objects". Names are compared by code point, which is the order of their UTF-8
bytes and so SQLite's.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pilvi.objectstore.node.interface import ListQuery, Subdir

Row = Sequence[Any]
Fetch = Callable[[list[str], list[str], int], Iterable[Row]]
"""fetch(conditions on `name`, their values, limit) -> rows in order (reversed if the query says so), the name first."""


def page(query: ListQuery, fetch: Fetch) -> Iterator[Row | Subdir]:
    """The rows and sub-directories of a listing, at most `query.limit`."""
    prefix, delimiter, folder = query.prefix, query.delimiter, None
    if query.path is not None:
        prefix = folder = query.path.rstrip("/") + "/" if query.path else ""
        delimiter = "/"
    span = _Span(query, prefix)
    left = query.limit
    while left > 0:
        taken, asked = 0, left + 1
        for row in fetch(*span.conditions(), asked):
            taken += 1
            name = row[0]
            span.passed(name)
            if name == folder: continue
            end = name.find(delimiter, len(prefix)) + len(delimiter) if delimiter and delimiter in name[len(prefix):] else 0
            if end and not (folder is not None and end == len(name)):
                span.jump(name[:end])
                asked = 0
                if folder is not None or name[:end] == query.marker: break
                yield Subdir(name[:end])
            else: yield row
            left -= 1
            if left <= 0: return
            if asked == 0: break
        if taken < asked: return


def touches(query: ListQuery, above: str, upto: str) -> bool:
    """May there be lines of a listing among the names after `above` and up to `upto`?"""
    prefix = query.prefix if query.path is None else query.path.rstrip("/") + "/" if query.path else ""
    low, high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
    low, ends = max(low, prefix, query.above), [one for one in (high, after(prefix) if prefix else "") if one]
    if upto and upto < low: return False
    return (not ends or above < min(ends)) and (not query.upto or above < query.upto)


class _Span:
    """What of the index is still to be looked at: names between `low` and `high`."""

    def __init__(self, query: ListQuery, prefix: str) -> None:
        self.reverse, self.prefix, self.reserved = query.reverse, prefix, query.reserved
        self.whole_folders = query.path is not None
        self.low, self.high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
        self.from_low = self.to_high = False
        """Does the span hold `low`, or `high`, itself?"""
        self.above, self.upto = query.above, query.upto

    def passed(self, name: str) -> None:
        """This one is done."""
        if self.reverse: self.high, self.to_high = name, False
        else: self.low, self.from_low = name, False

    def jump(self, subdir: str) -> None:
        """All names that begin so are done (but for the one of exactly that name, listed with `path`)."""
        if self.reverse: self.high, self.to_high = subdir, self.whole_folders
        else: self.low, self.from_low = after(subdir), True

    def conditions(self) -> tuple[list[str], list[str]]:
        """SQL conditions and their values: one at either end, for an index is searched by no more."""
        lows = [(self.low, not self.from_low), (self.above, True), (self.prefix or ("" if self.reserved else "\x01"), False)]
        highs = [(self.high, self.to_high), (self.upto, True), (after(self.prefix) if self.prefix else "", False)]
        low, beyond = max(lows)
        high, with_it = min((one for one in highs if one[0]), default=("", False))
        found = [(f"name {'>' if beyond else '>='} ?", low)] if low else []
        if high: found.append((f"name {'<=' if with_it else '<'} ?", high))
        return [condition for condition, _ in found], [value for _, value in found]


def after(prefix: str) -> str:
    """The least text that is greater than all that begin with `prefix`."""
    last = ord(prefix[-1]) + 1
    if last > 0x10FFFF: return prefix + "\U0010FFFF"
    return prefix[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else last)
