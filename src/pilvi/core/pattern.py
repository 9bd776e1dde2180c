"""Regular expressions that users give: none of them can hold the process.

Python's `re` tries one way after another and keeps the interpreter's lock meanwhile: a pattern such as (a+)+$ would stop all threads of the
cloud for as long as its author likes. RE2 takes time linear in the text, and little memory. What it leaves out, looking ahead or behind
and references to groups, is tried by `re` in a process of its own, which may work for a second.
"""
from __future__ import annotations

import re
import subprocess
import sys
from functools import lru_cache

import msgspec
import re2  # type: ignore[import-untyped]

SECONDS, MEMORY, WAIT_SECONDS = 1, 512 * 2**20, 30.0
"""What the other process may use of a processor and of memory; and how long it is waited for on a busy machine."""
ONLY_RE = re.compile(r"\(\?(=|!|<=|<!|P=|\()|\\[1-9Z]")
"""What `re` has and RE2 has not."""
ELSEWHERE = f"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
pattern, text, whole = json.load(sys.stdin)
try: compiled = re.compile(pattern)
except (re.error, OverflowError, RecursionError) as failure: print(json.dumps(str(failure)))
else: print(json.dumps(bool(compiled.fullmatch(text) if whole else compiled.search(text))))
"""


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
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", ELSEWHERE], input=msgspec.json.encode([pattern, text, whole]),
                              capture_output=True, timeout=WAIT_SECONDS, check=False)
    except subprocess.TimeoutExpired: done = None
    if done is None or done.returncode: raise ValueError(f"The pattern {pattern[:80]!r} takes too long")
    said: bool | str = msgspec.json.decode(done.stdout)
    if isinstance(said, str): raise ValueError(f"{pattern[:80]!r} is not a regular expression: {said}")
    return said
