"""The audit chain: it holds as written, and nothing can be changed, left out, put in or moved without breaking it."""
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilvi.identity import audit


def chain(records: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    previous = audit.ORIGIN
    for seq, record in enumerate(records, 1):
        hash = audit.link(previous, seq, record)
        rows.append({"seq": seq, "record": record, "previous": previous, "hash": hash})
        previous = hash
    return rows


@given(st.lists(st.text(max_size=20), min_size=2, max_size=12), st.data())
def test_no_change_goes_unseen(records: list[str], data: st.DataObject) -> None:
    rows = chain(records)
    assert audit.check(rows, audit.ORIGIN) is None
    at = data.draw(st.integers(0, len(rows) - 1))
    changed = [dict(row) for row in rows]
    changed[at]["record"] += "x"
    assert audit.check(changed) == (at + 1, "it was changed")
    changed[at]["hash"] = audit.link(changed[at]["previous"], at + 1, changed[at]["record"])
    assert audit.check(changed) is None if at == len(rows) - 1 else audit.check(changed) is not None
    if 0 < at < len(rows) - 1: assert audit.check([*rows[:at], *rows[at + 1:]]) is not None
    assert audit.check([rows[at], *rows[:at]]) is None if at == 0 else audit.check([rows[at], *rows[:at]]) is not None
    assert audit.check(rows, "0" * 63 + "1") is not None
