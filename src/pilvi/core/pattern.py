"""Regular expressions that users give: none of them can hold the process.

Python's `re` tries one way after another and keeps the interpreter's lock meanwhile: a pattern such as (a+)+$ would stop all threads of the
cloud for as long as its author likes. RE2 takes time linear in the text, and little memory. What it leaves out, looking ahead or behind
and references to groups, is tried by `re` in a process of its own (core/apart.py).
"""
from __future__ import annotations

import re
from functools import lru_cache

import re2  # type: ignore[import-untyped]

from pilvi.core.apart import Apart

TRIED = Apart("pilvi.core.pattern_apart")
ONLY_RE = re.compile(r"\(\?(=|!|<=|<!|P=|\()|\\[1-9Z]")
"""What `re` has and RE2 has not."""


class Pattern:
    """A regular expression with the syntax of Python's."""

    def __init__(self, text: str) -> None:
        """Raises ValueError with the reason."""
        self.text = text
        self._quick = None if ONLY_RE.search(text) else linear(text)
        if self._quick is None: _elsewhere(text, "", whole=False)

    def search(self, text: str) -> bool:
        """Does it fit somewhere in the text? Raises ValueError when that takes too long."""
        return self._quick.search(text) is not None if self._quick is not None else _elsewhere(self.text, text, whole=False)

    def fits(self, text: str) -> bool:
        """Does it fit the whole text? Raises ValueError when that takes too long."""
        return self._quick.fullmatch(text) is not None if self._quick is not None else _elsewhere(self.text, text, whole=True)


@lru_cache(4096)
def linear(text: str) -> re.Pattern[str]:
    """RE2's compiled pattern, which has the methods of Python's. Raises ValueError for what RE2 does not know."""
    options = re2.Options()
    options.log_errors = False
    try: return re2.compile(text, options)  # type: ignore[no-any-return]
    except re2.error as failure:
        said = failure.args[0] if failure.args else ""
        raise ValueError(f"{text[:80]!r} is not a regular expression: {said.decode() if isinstance(said, bytes) else said}") from None


def sqlite_regexp(pattern: str, text: str | None) -> bool | None:
    """What SQLite calls for `text REGEXP pattern`; only patterns that `linear` knows."""
    return None if text is None else linear(pattern).search(text) is not None


@lru_cache(512)
def _elsewhere(pattern: str, text: str, *, whole: bool) -> bool:
    return bool(TRIED.ask([pattern, text, whole]))
