"""Patterns that RE2 leaves out, tried by Python's `re`: a program that `core/apart.py` runs."""
from __future__ import annotations

import re

from pilvi.core.apart import serve


def tried(pattern: str, text: str, whole: bool) -> bool:
    """Does it fit the whole text, or somewhere in it? Raises ValueError for what is no pattern."""
    try: compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as failure:
        raise ValueError(f"{pattern[:80]!r} is not a regular expression: {failure}") from None
    return bool(compiled.fullmatch(text) if whole else compiled.search(text))


if __name__ == "__main__": serve(lambda question: tried(*question))
