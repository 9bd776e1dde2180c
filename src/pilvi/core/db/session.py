"""Engines and transactions.

A database is SQLite (a file per service: one writer each) or PostgreSQL (one database, tables carry the service's prefix).
Writers begin with BEGIN IMMEDIATE on SQLite: a plain BEGIN that later writes fails at once when another has written (measured: 90,000
lock errors with 8 writers, none with IMMEDIATE). Keep transactions short; never call another service inside one (`forbid_open`).
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import Session

from pilvi.core.db.open import OPEN
from pilvi.core.errors import Invalid, Unavailable
from pilvi.core.pattern import sqlite_regexp

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=20000", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-4000")

INVALID_REGULAR_EXPRESSION = "2201B"
"""PostgreSQL's; its patterns differ a little from those that core/pattern.py lets pass."""


class PatternRefused(Invalid):
    """The regular expression is not one that the database knows."""


class Database:
    """One service's database. Sessions belong to the thread that opened them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {} if self.sqlite else {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}
        self.engine = create_engine(url, hide_parameters=True, **options)  # they may be secrets, and errors are logged
        self.commits = 0
        """Of this process: what was read before the last one may be old."""
        self.written: list[Callable[[], None]] = []
        """Called, quickly, after each transaction that wrote, by its thread. (The engine's own event comes before the commit.)"""
        self.emitted: list[Callable[[], None]] = []
        """Called likewise after each transaction that left something in the outbox."""
        self.outbox: Any = None
        """The core/events.py Outbox that `emit` writes to; None: nobody listens."""
        self._writer = self.engine.execution_options(pilvi_write=True)
        self._turn: AbstractContextManager[Any] = threading.RLock() if self.sqlite else nullcontext()
        """SQLite has one writer; those that wait in its own manner sleep, for up to 100 ms, while nobody writes."""
        if self.sqlite: _prepare_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads: one consistent view."""
        with self._session(self.engine) as session: yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes: commits at the end, rolls back on an exception."""
        with self._turn, self._session(self._writer) as session:
            yield session
            session.flush()
            session.commit()
        self.commits += 1
        for tell in [*self.written, *(self.emitted if session.info.get("emitted") else ())]: tell()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        OPEN.depth = getattr(OPEN, "depth", 0) + 1
        session = Session(engine, autoflush=False, expire_on_commit=False, info={"outbox": self.outbox})
        try:
            yield session
        except (OperationalError, PoolExhausted) as failure:
            raise Unavailable(reason="the database cannot be reached or is locked") from failure
        except DBAPIError as failure:
            if getattr(failure.orig, "sqlstate", None) == INVALID_REGULAR_EXPRESSION: raise PatternRefused() from failure
            if failure.connection_invalidated: raise Unavailable(reason="the database connection was lost") from failure
            raise
        finally:
            OPEN.depth -= 1
            session.close()

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """True for one process at a time, while the block runs. SQLite has but one control process."""
        if self.sqlite:
            yield True
            return
        with self.engine.connect() as connection:
            key = {"name": name}
            mine = bool(connection.execute(text("SELECT pg_try_advisory_lock(hashtext(:name))"), key).scalar())
            try: yield mine
            finally:
                if mine: connection.execute(text("SELECT pg_advisory_unlock(hashtext(:name))"), key)

    def take_turns(self, session: Session, name: str) -> None:
        """From here to its end, transactions of this name run one after the other, in all processes: what the next one reads is what this
        one wrote. SQLite's writers do so anyway."""
        if not self.sqlite: session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})

    def close(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS: connection.execute("PRAGMA " + pragma)
        connection.create_function("regexp", 2, sqlite_regexp, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # Not through SQLAlchemy, whose way to a statement without parameters or rows costs as much as a small select.
        driver = connection.connection.driver_connection
        driver.execute("BEGIN IMMEDIATE" if connection.get_execution_options().get("pilvi_write") else "BEGIN")
