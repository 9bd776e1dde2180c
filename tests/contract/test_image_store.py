"""What every image store does: objects whole or absent, read from anywhere, forgotten without fuss."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilvi.image.drivers import STORES
from pilvi.image.drivers.interface import Store
from pilvi.image.errors import NotStored

DATA = os.urandom(2_500_000)


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


def keep(store: Store, name: str, data: bytes = DATA) -> None:
    writer = store.begin(name)
    for at in range(0, len(data), 999_999): writer.write(data[at:at + 999_999])
    writer.commit()


def read(store: Store, name: str, offset: int = 0, length: int = len(DATA)) -> bytes:
    return b"".join(store.read(name, offset, length))


def test_what_was_kept_is_read_from_any_offset(store: Store) -> None:
    keep(store, "a.1")
    assert (read(store, "a.1"), store.size("a.1")) == (DATA, len(DATA))
    assert read(store, "a.1", 1_500_000, 20) == DATA[1_500_000:1_500_020]
    assert read(store, "a.1", len(DATA) - 5, 100) == DATA[-5:]
    assert read(store, "a.1", 0, 0) == b""


def test_an_empty_object(store: Store) -> None:
    keep(store, "a.1", b"")
    assert (store.size("a.1"), read(store, "a.1")) == (0, b"")


def test_an_object_exists_only_once_it_is_committed(store: Store) -> None:
    writer = store.begin("a.1")
    writer.write(DATA)
    assert list(store.names()) == []
    with pytest.raises(NotStored): store.read("a.1", 0, 1)
    with pytest.raises(NotStored): store.size("a.1")
    assert writer.read_at(5, 10) == DATA[5:15]
    assert writer.read_at(len(DATA) - 2, 10) == DATA[-2:]
    writer.commit()
    assert list(store.names()) == ["a.1"]
    writer.abort()
    assert read(store, "a.1") == DATA


def test_what_was_given_up_leaves_nothing(store: Store) -> None:
    writer = store.begin("a.1")
    writer.write(DATA)
    for _ in range(2): writer.abort()
    assert list(store.names()) == []
    keep(store, "a.1")


def test_removing_may_be_repeated_and_does_not_cut_readers_off(store: Store) -> None:
    keep(store, "a.1")
    pieces = store.read("a.1", 0, len(DATA))
    first = next(pieces)
    for _ in range(2): store.remove("a.1")
    assert first + b"".join(pieces) == DATA
    assert list(store.names()) == []


def test_tidying_takes_only_what_nobody_writes_any_more(store: Store) -> None:
    keep(store, "a.1")
    dead, alive = store.begin("b.1"), store.begin("c.1")
    dead.write(b"x")
    store.tidy(3600)
    alive.write(DATA)
    alive.commit()
    store.tidy(-1)
    assert sorted(store.names()) == ["a.1", "c.1"]
    keep(store, "b.1")


def test_room_is_told_or_unknown(store: Store) -> None:
    free = store.free_bytes()
    assert free is None or free > 0
