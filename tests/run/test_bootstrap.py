"""What a new identity holds, and that doing it again changes nothing but the addresses."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from pilvi.core.crypto import check_password
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.wire import Base
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.catalogue import CatalogueService, Endpoint
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import Role
from pilvi.identity.resources.user import User
from pilvi.run.bootstrap import ROLES, bootstrap, passwords
from pilvi.run.server import IDENTITY, SERVICES
from pilvi.run.settings import Settings, prepare

TABLES = (User, Role, Project, Assignment, CatalogueService, Endpoint)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Database, Settings]]:
    settings = Settings(state=str(tmp_path), unprivileged=False)
    prepare(settings)
    database = Database(f"sqlite:///{tmp_path}/identity.sqlite")
    tables: list[Any] = [Base.metadata.tables[t.__tablename__] for t in (*(r.table for r in IDENTITY.resources), *IDENTITY.tables)]
    migrate(database, "identity", tables)
    bootstrap(database, settings, SERVICES)
    yield database, settings
    database.close()


def counts(database: Database) -> dict[str, int]:
    with database.read() as db: return {t.__tablename__: db.scalar(select(func.count()).select_from(t)) or 0 for t in TABLES}


def test_people(world: tuple[Database, Settings]) -> None:
    database, settings = world
    with database.read() as db:
        assert {role.name for role in db.scalars(select(Role))} == set(ROLES)
        hashed: dict[str, Any] = {user.name: user.password for user in db.scalars(select(User))}
    words = passwords(settings)
    assert set(words) == {"admin", "demo", "pilvi-control", "pilvi-host"} == set(hashed)
    assert all(check_password(word, hashed[user]) for user, word in words.items())
    assert len(set(words.values())) == 4 and min(map(len, words.values())) >= 24
    assert settings.passwords_path.stat().st_mode & 0o077 == 0


def test_the_host_is_no_administrator(world: tuple[Database, Settings]) -> None:
    with world[0].read() as db:
        held = select(Role.name).join(Assignment, Assignment.role_id == Role.id).join(User, User.id == Assignment.actor_id)
        assert set(db.scalars(held.where(User.name == "pilvi-host"))) == {"service"}


def test_again_changes_nothing(world: tuple[Database, Settings]) -> None:
    database, settings = world
    before, words = counts(database), passwords(settings)
    bootstrap(database, settings, SERVICES)
    assert counts(database) == before and passwords(settings) == words
    kinds = [kind for service in SERVICES if service.catalogued for kind in service.types]
    assert before["identity_services"] == len(kinds) and before["identity_endpoints"] == 3 * len(kinds)


def test_the_catalogue_follows_the_address(world: tuple[Database, Settings]) -> None:
    database, settings = world
    bootstrap(database, replace(settings, listen="127.0.0.1:7777"), SERVICES)
    with database.read() as db:
        urls = list(db.scalars(select(Endpoint.url)))
    assert urls and all(url.startswith(("http://127.0.0.1:7777/", "http://127.0.0.1:7778/v1/AUTH_")) for url in urls)
