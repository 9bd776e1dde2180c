"""Telemetry in one process: SQLite, a memory bus, callers of several kinds."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.requests.telemetry.callers import validate

from pilvi.core.bus.memory import MemoryBus
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import auth
from pilvi.core.http.app import Application, Request
from pilvi.core.wire import Base
from pilvi.telemetry.service import SERVICE


class Telemetry:
    """The service and its callers."""

    def __init__(self, directory: Path, url: str = "") -> None:
        auth.validate_with(validate)
        database = Database(url or f"sqlite:///{directory}/telemetry.sqlite")
        tables = [*(resource.table for resource in SERVICE.resources), *SERVICE.tables]
        migrate(database, "telemetry", [Base.metadata.tables[table.__tablename__] for table in tables])
        self.bus = MemoryBus("telemetry")
        self.application = Application(SERVICE, database=database, bus=self.bus)
        assert SERVICE.start
        SERVICE.start(self.application)

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "member", headers: dict[str, str] | None = None,
            raw: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
        """(status, body, headers)"""
        path, _, query = path.partition("?")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = {"x-auth-token": who, "content-type": "application/json"} | (headers or {})
        response = self.application.handle(Request(method, path, query, sent, data, "http://cloud/metric"))
        payload = response.payload()
        return response.status, json.loads(payload) if payload and "json" in response.media_type else payload, response.headers

    def close(self) -> None:
        """Ends its threads too: one whose database is gone would complain for ever."""
        assert SERVICE.stop
        SERVICE.stop(self.application)
        self.bus.close()
        self.application.close()
        self.application.database.close()

    def get(self, path: str, who: str = "member") -> Any:
        """The body of a GET that succeeds."""
        status, body, _ = self.ask("GET", path, who=who)
        assert status == 200, body
        return body

    def post(self, path: str, body: Any = None, who: str = "member") -> Any:
        """The body of a POST that succeeds."""
        status, found, _ = self.ask("POST", path, body, who=who)
        assert 200 <= status < 300, found
        return found

    def metric(self, name: str = "load", policy: str = "fine", **more: Any) -> str:
        """A new metric's id."""
        return str(self.post("/v1/metric", {"name": name, "archive_policy_name": policy, **more})["id"])

    def policy(self, *granularities: Any, name: str = "fine", methods: list[str] | None = None, **more: Any) -> None:
        """A new archive policy; a granularity may be (granularity, timespan)."""
        lines = [{"granularity": g} if not isinstance(g, tuple) else {"granularity": g[0], "timespan": g[1]} for g in granularities]
        self.post("/v1/archive_policy", {"name": name, "definition": lines, **({"aggregation_methods": methods} if methods else {}),
                                         **more},
                  who="admin")


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    made = Telemetry(tmp_path)
    yield made
    made.close()


def at(seconds: float) -> str:
    """An instant some seconds after a round one."""
    return f"2026-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}"
