"""The Range header: which bytes are meant of a body of a known length. Pure.

Source: RFC 9110, section 14; the bounds on hostile lists of ranges are Swift's.
"""
from __future__ import annotations

import re
from itertools import pairwise

MOST = 50
MOST_OVERLAPS = 2
MOST_BACKWARDS = 8
ONE = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII)

Wanted = tuple[int | None, int | None]
"""(first, last), both included; (None, n): the last n bytes; (n, None): from n on."""


def parse(header: str | None) -> list[Wanted] | None:
    """The ranges asked for; None where there is no header or it is not understood (then it is as if there were none)."""
    if not header: return None
    unit, equals, rest = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals: return None
    found: list[Wanted] = []
    for piece in rest.split(","):
        if not piece.strip(): continue
        one = ONE.fullmatch(piece) if len(piece) <= 50 else None  # blanks may belong to either \s*: slow where there are many
        if one is None or one[1] == one[2] == "": return None
        first, last = int(one[1]) if one[1] else None, int(one[2]) if one[2] else None
        if first is not None and last is not None and first > last: return None
        found.append((first, last))
    return found or None


def resolve(wanted: list[Wanted], length: int) -> list[tuple[int, int]]:
    """[(begin, end)], end not included, of those that can be met; empty: none can, or the list is an attack."""
    met: list[tuple[int, int]] = []
    for first, last in wanted:
        if first is None:
            assert last is not None
            if last and length: met.append((max(0, length - last), length))
        elif first < length:
            met.append((first, length if last is None else min(last + 1, length)))
    if len(met) > MOST: return []
    pairs = list(pairwise(met))
    overlaps = sum(b[0] < a[1] and a[0] < b[1] for a, b in pairs)
    backwards = sum(b[0] < a[0] for a, b in pairs)
    return [] if overlaps > MOST_OVERLAPS or backwards > MOST_BACKWARDS else met
