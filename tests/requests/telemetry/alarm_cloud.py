"""A telemetry service in one process, as alarms need it: callers of two projects, identity's trusts, a web server that hears notices."""
from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.requests.telemetry.callers import CALLERS, validate

from pilvi.core import clock
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.context import Call
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import auth, client, fetch
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.client import Message, Reply
from pilvi.identity.client import Tokens
from pilvi.telemetry.config import Config
from pilvi.telemetry.service import SERVICE


class People:
    """Identity as telemetry sees it: who a token is, and trusts."""
    name = "in-process"

    def __init__(self) -> None:
        self.trusts: dict[str, str] = {}
        """{id: trustor's token}"""
        self.away = False

    def send(self, message: Message) -> Reply:
        if self.away: return Reply(503, {}, b"{}")
        path, token = message.path.partition("?")[0], message.headers.get("x-auth-token", "")
        if path == "/v3/auth/tokens" and message.method == "GET": return self._facts(message.headers["x-subject-token"])
        if path == "/v3/auth/tokens":
            trust = json.loads(bytes(message.body))["auth"]["scope"]["OS-TRUST:trust"]["id"]  # type: ignore[arg-type]
            if trust not in self.trusts: return Reply(401, {}, b'{"error": {"message": "no such trust"}}')
            body = {"token": {"expires_at": clock.iso(clock.now() + 3600)}}
            return Reply(201, {"x-subject-token": f"trusted-{trust}"}, json.dumps(body).encode())
        if message.method == "POST":
            id = f"{len(self.trusts):032x}"
            self.trusts[id] = token
            return Reply(201, {}, json.dumps({"trust": {"id": id}}).encode())
        return Reply(204 if self.trusts.pop(path.rpartition("/")[2], None) else 404, {}, b"")

    def _facts(self, token: str) -> Reply:
        if token not in CALLERS: return Reply(404, {}, b"{}")
        who = CALLERS[token]
        facts = {"user": {"id": who.user_id, "name": token, "domain": {"id": "default"}}, "project": {
            "id": who.project_id, "name": "p", "domain": {"id": "default"}}, "roles": [{"name": name, "id": name} for name in who.roles],
            "audit_ids": ["x"], "expires_at": clock.iso(clock.now() + 3600), "methods": ["password"]}
        return Reply(200, {}, json.dumps({"token": facts}).encode())


class Hooks:
    """A web server: what it heard, and what it answers ({path: [statuses]}, then 200)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers: dict[str, list[int]] = {}
        self.hold = threading.Event()
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hooks.heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                if self.path == "/hang": hooks.hold.wait(120)
                self.send_response((hooks.answers.get(self.path) or [200]).pop(0))
                self.end_headers()

            def log_message(self, *words: Any) -> None: pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count: int = 1, seconds: float = 60.0) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
        """What was heard, once it is so much."""
        until(lambda: len(self.heard) >= count, seconds)
        return self.heard


def until(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits for something to become true."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.02)


class World:
    def __init__(self, folder: Path, config: Config | None = None, url: str = "") -> None:
        self.database = Database(url or f"sqlite:///{folder}/telemetry.sqlite")
        tables = [*(r.table for r in SERVICE.resources), *SERVICE.tables]
        migrate(self.database, "telemetry", [table.__table__ for table in tables])
        self.bus, self.people, self.hooks = MemoryBus(), People(), Hooks()
        self.app = Application(SERVICE, database=self.database, bus=self.bus, config=config)
        self.app.state |= {"service_call": lambda: Call(token="control"), "service_tokens": Tokens("control", "x", "service")}
        auth.validate_with(validate)
        client.connect("identity", self.people)
        fetch.configure(fetch.Config(networks=["127.0.0.1/32"]))
        assert SERVICE.start is not None
        SERVICE.start(self.app)

    def close(self) -> None:
        self.hooks.close()
        assert SERVICE.stop is not None
        SERVICE.stop(self.app)
        fetch.configure(fetch.Config())
        self.bus.close()
        self.app.close()
        self.database.close()

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "member") -> tuple[int, Any]:
        """(status, body) of a request."""
        answer = self.answer(method, path, body, who=who)
        data = answer.payload()
        return answer.status, json.loads(data) if data else None

    def answer(self, method: str, path: str, body: Any = None, *, who: str = "member") -> Response:
        before, _, query = path.partition("?")
        return self.app.handle(Request(method, before, query, {"x-auth-token": who} if who else {},
                                       json.dumps(body).encode() if body is not None else b"", base="http://cloud/alarming"))

    def make(self, *, who: str = "member", **values: Any) -> dict[str, Any]:
        """A new alarm, on events if nothing else is said."""
        code, body = self.ask("POST", "/v2/alarms", {"name": "a", "type": "event", "event_rule": {}} | values, who=who)
        assert code == 201, body
        return dict(body)

    def show(self, id: str, *, who: str = "admin") -> dict[str, Any]:
        code, body = self.ask("GET", f"/v2/alarms/{id}", who=who)
        assert code == 200, body
        return dict(body)


@contextmanager
def world_in(folder: Path, config: Config | None = None, url: str = "") -> Iterator[World]:
    """A world, closed at the end; over SQLite unless told otherwise."""
    made = World(folder, config, url)
    try: yield made
    finally: made.close()
