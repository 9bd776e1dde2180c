"""Listings against a plain model: the names in order, filtered one by one."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.objectstore.node.interface import ListQuery, Subdir
from pilvi.objectstore.node.listing import after, page

NAME = st.text(alphabet="ab/\uffff\U0010ffff~", min_size=1, max_size=6)


def listed(names: Iterable[str], query: ListQuery) -> list[str]:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE row (name TEXT)")
    db.executemany("INSERT INTO row VALUES (?)", [(name,) for name in names])

    def fetch(conditions: list[str], values: list[str], limit: int) -> Iterable[Any]:
        order = "DESC" if query.reverse else "ASC"
        return db.execute(f"SELECT name FROM row WHERE {' AND '.join([*conditions, '1'])} ORDER BY name {order} LIMIT ?", (*values, limit))

    return [one.name if isinstance(one, Subdir) else one[0] for one in page(query, fetch)]


def model(names: Iterable[str], query: ListQuery) -> list[str]:
    """What the API's description says, name by name."""
    low, high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
    found: list[str] = []
    for name in sorted(set(names), reverse=query.reverse):
        if not name.startswith(query.prefix) or name <= low or (high and name >= high): continue
        if query.delimiter and query.delimiter in name[len(query.prefix):]:
            name = name[:name.index(query.delimiter, len(query.prefix)) + len(query.delimiter)]
            if name in found or name == query.marker: continue
        found.append(name)
    return found[:query.limit]


@settings(max_examples=300, deadline=None)
@given(st.sets(NAME, max_size=25), st.builds(ListQuery, limit=st.integers(0, 9), marker=st.one_of(st.just(""), NAME),
    end_marker=st.one_of(st.just(""), NAME), prefix=st.sampled_from(["", "a", "a/", "b", "/"]), delimiter=st.sampled_from(["", "/", "a/"]),
    reverse=st.booleans()))
def test_a_page_is_what_the_model_says(names: set[str], query: ListQuery) -> None:
    assert listed(names, query) == model(names, query)


def test_path_lists_one_level_without_subdirectories() -> None:
    names = ["photos", "photos/", "photos/a.jpg", "photos/b/", "photos/b/c.jpg", "photos/d/e.jpg", "top"]
    assert listed(names, ListQuery(path="photos")) == ["photos/a.jpg", "photos/b/"]
    assert listed(names, ListQuery(path="photos", reverse=True)) == ["photos/b/", "photos/a.jpg"]
    assert listed(names, ListQuery(path="")) == ["photos", "photos/", "top"]


def test_reserved_names_show_only_when_asked_for() -> None:
    names = ["\x00versions\x00a", "a"]
    assert listed(names, ListQuery()) == ["a"]
    assert listed(names, ListQuery(reserved=True)) == names
    assert listed(names, ListQuery(reserved=True, prefix="\x00versions")) == names[:1]


def test_after_is_the_next_text_that_does_not_begin_so() -> None:
    assert after("a/") == "a0"
    assert after("a\ud7ff") == "a\ue000"
    assert after("a\U0010ffff") > "a\U0010ffff"
