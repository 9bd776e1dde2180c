"""Schema versions: numbered modules `migrations/NNNN_what.py` with `upgrade(operations)`, forward only, one number per service.

A new database is made whole from the mapped classes and stamped with the newest number; an older one is brought forward step by step in one
transaction each. Alembic's operations do the work (batch mode for SQLite) and are loaded only when there is something to do.
"""
from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, inspect, select

from pilvi.core.db.session import Database

VERSIONS = Table("pilvi_schema", MetaData(), Column("service", String(40), primary_key=True), Column("version", Integer, nullable=False))


class SchemaTooNew(RuntimeError):
    """The database was written by a newer Pilvi; start that one, or restore a backup."""


def migrate(database: Database, service: str, tables: list[Table]) -> int:
    """Brings the service's tables to the newest version and returns it. Repeatable; two processes may try at once."""
    steps = _steps(service)
    newest = max(steps, default=0)
    with database._writer.begin() as connection:
        VERSIONS.metadata.create_all(connection)
        found = connection.execute(select(VERSIONS.c.version).where(VERSIONS.c.service == service)).scalar()
        if found is None:
            if not inspect(connection).has_table(tables[0].name):
                tables[0].metadata.create_all(connection, tables=tables)
            connection.execute(VERSIONS.insert().values(service=service, version=newest))
            return newest
    if found > newest: raise SchemaTooNew(f"{service}: database version {found}, program knows {newest}")
    for number in range(found + 1, newest + 1):
        with database._writer.begin() as connection: _upgrade(connection, service, number, steps[number])
    return newest


def _steps(service: str) -> dict[int, str]:
    name = f"pilvi.{service}.migrations"
    try: package = importlib.import_module(name)
    except ModuleNotFoundError: return {}
    return {int(module.name.split("_")[0]): f"{name}.{module.name}" for module in pkgutil.iter_modules(package.__path__)}


def _upgrade(connection: Connection, service: str, number: int, module: str) -> None:
    still = connection.execute(select(VERSIONS.c.version).where(VERSIONS.c.service == service).with_for_update()).scalar()
    if still is not None and still >= number: return
    operations: Any = importlib.import_module("alembic.operations").Operations
    context: Any = importlib.import_module("alembic.migration").MigrationContext.configure(connection, opts={"render_as_batch": True})
    importlib.import_module(module).upgrade(operations(context))
    connection.execute(VERSIONS.update().where(VERSIONS.c.service == service).values(version=number))
