"""The audit log as a file: one line of JSON a record, in order, checked on the way out and again whenever somebody wants to know."""
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pilvi.identity import audit
from pilvi.run.furnish import Cloud


class LogBroken(Exception):
    """The log was tampered with; the text says where."""


def records(cloud: Cloud, after: int = 0) -> Iterator[dict[str, Any]]:
    """The records behind a number, up to the end of the chain. Raises LogBroken at the first that does not hold. Of those that were
    forgotten by age the hash of the last is known, so what follows it is checked too."""
    previous = None
    while True:
        page = cloud.ask("identity", "GET", "/v3/pilvi-audit", after=after)
        start = page["start"] or {"seq": 0, "hash": audit.ORIGIN}
        if previous is None and after <= start["seq"]:
            after, previous = start["seq"], start["hash"]
            if page["records"] and page["records"][0]["seq"] != after + 1: raise LogBroken("the beginning of the log is missing")
        if not page["records"]:
            if page["head"] and page["head"]["seq"] > after: raise LogBroken("the end of the log is missing")
            return
        _check(page["records"], previous)
        yield from page["records"]
        after, previous = page["records"][-1]["seq"], page["records"][-1]["hash"]


def check(path: Path) -> tuple[int, str]:
    """(how many records, the last hash) of an exported file. Raises LogBroken."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    _check(rows, None)
    return len(rows), rows[-1]["hash"] if rows else audit.ORIGIN


def _check(rows: Iterable[dict[str, Any]], previous: str | None) -> None:
    if broken := audit.check(rows, previous): raise LogBroken(f"record {broken.seq}: {broken.reason}")
