"""Databases, and small services in the manner of three API families, for the tests of the engine."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.core.shop import SHOPS, Shop, Thing, open_shop
from tests.postgres_server import new_database

from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite": url = f"sqlite:///{tmp_path}/shop.sqlite"
    else: url = new_database(request.getfixturevalue("postgres_url"), f"shop_{uuid4().hex}")
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def shop(database: Database) -> Iterator[Callable[[str], Shop]]:
    """shop("nova") → a service in that manner, over the database."""
    migrate(database, "shop", [Thing.__table__])
    opened: dict[str, Shop] = {}

    def find(family: str) -> Shop:
        if family not in opened: opened[family] = open_shop(SHOPS[family], database)
        return opened[family]

    yield find
    for each in opened.values(): each.application.close()
