"""The chain that makes a log tamper-evident: each record's hash covers the record and the hash before it.

Whoever changes, removes or inserts a record has to make all later hashes anew, and those were exported before.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

ORIGIN = "0" * 64
"""What stands before the first record."""


class Broken(NamedTuple):
    """Where a log no longer holds, and why."""
    seq: int
    reason: str


def link(previous: str, seq: int, record: str) -> str:
    """The hash of a record (its text as it is stored) in its place."""
    return hashlib.sha256(f"{previous}\n{seq}\n{record}".encode()).hexdigest()


def check(rows: Iterable[dict[str, Any]], previous: str | None = None) -> Broken | None:
    """The first break in rows of {seq, record, previous, hash}; None if there is none. `previous`: the hash known to stand before them."""
    last_seq: int | None = None
    for row in rows:
        seq = int(row["seq"])
        if last_seq is not None and seq != last_seq + 1: return Broken(seq, f"the records between {last_seq} and {seq} are missing")
        if previous is not None and row["previous"] != previous: return Broken(seq, "it does not follow the record before it")
        if link(row["previous"], seq, row["record"]) != row["hash"]: return Broken(seq, "it was changed")
        previous, last_seq = row["hash"], seq
    return None
