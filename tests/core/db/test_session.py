"""Transactions, and who is told of them."""
from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from pilvi.core.db.session import Database


def counted(database: Database) -> int:
    with database.read() as db: return int(db.execute(text("SELECT count(*) FROM things")).scalar_one())


def made(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder}/db.sqlite")
    with database.write() as db: db.execute(text("CREATE TABLE things (name TEXT)"))
    return database


def test_listeners_see_what_was_written(tmp_path: Path) -> None:
    database, seen = made(tmp_path), list[int]()
    database.written.append(lambda: seen.append(counted(database)))
    with database.write() as db: db.execute(text("INSERT INTO things VALUES ('one')"))
    assert seen == [1]
