"""A volume service in one process: SQLite, a memory bus, a real agent with a store on one host, callers of several kinds, and one image."""
from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pilvi.core import clock, crypto
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.context import Call, Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.errors import Unauthenticated
from pilvi.core.http import auth, client
from pilvi.core.http.app import Application, Request
from pilvi.core.http.client import Message, Reply, Socket
from pilvi.core.http.inprocess import InProcess
from pilvi.volume.agent.main import VolumeAgent
from pilvi.volume.config import Config
from pilvi.volume.drivers.simulated import Simulated
from pilvi.volume.service import SERVICE

PROJECT, OTHER_PROJECT, SERVICE_PROJECT = "a" * 32, "b" * 32, "c" * 32
CALLERS = {
    "member": Identity("u1", project_id=PROJECT, roles=("member", "reader")),
    "reader": Identity("u2", project_id=PROJECT, roles=("reader",)),
    "other": Identity("u3", project_id=OTHER_PROJECT, roles=("member", "reader")),
    "admin": Identity("u4", project_id="d" * 32, roles=("admin", "manager", "member", "reader")),
    "agent": Identity("u5", project_id=SERVICE_PROJECT, roles=("service",)),
}
HOST, GRANT_KEY = "node1", b"k" * 32
SECONDS = 60.0


def validate(token: str, story: Any) -> Identity:
    if token not in CALLERS: raise Unauthenticated()
    return Identity(**{name: getattr(CALLERS[token], name) for name in ("user_id", "project_id", "roles")}, expires_at=clock.now() + 3600)


class Images(Socket):
    """The image service as others see it: facts and bytes by id. `damage` is what happens to the bytes on the way."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.images: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.damage: Callable[[bytes], bytes] = lambda data: data
        self.asked: list[dict[str, str]] = []
        self.refuses = False

    def add(self, id: str, data: bytes, form: str = "raw", **more: Any) -> str:
        self.images[id] = {"id": id, "name": f"name of {id}", "status": "active", "disk_format": form, "container_format": "bare",
                           "size": len(data),
                           "min_disk": 0, "min_ram": 0, "checksum": hashlib.md5(data).hexdigest(), "os_hash_algo": "sha512",
                           "os_hash_value": hashlib.sha512(data).hexdigest(), "virtual_size": len(data),
                           "hw_disk_bus": "virtio"} | more, data
        return id

    def send(self, message: Message) -> Reply:
        if message.method == "POST":
            facts = json.loads(message.body)  # type: ignore[arg-type]
            id = self.add(f"made{len(self.images)}", b"", facts["disk_format"], **{"visibility": "private", "protected": False} | facts)
            self.images[id][0]["status"] = "queued"
            return Reply(201, {}, json.dumps(self.images[id][0]).encode())
        if message.method == "DELETE": self.images.pop(message.path.split("/")[3], None)
        found = self.images.get(message.path.split("/")[3])
        return Reply(200, {}, json.dumps(found[0]).encode()) if found else Reply(404, {}, b"{}")

    @contextmanager
    def stream(self, message: Message) -> Iterator[tuple[Reply, Callable[[int], bytes]]]:
        self.asked.append(message.headers)
        if message.method == "PUT":
            facts, data = self.images[message.path.split("/")[3]][0], b"".join(message.body)  # type: ignore[arg-type]
            if self.refuses: yield Reply(409, {}, b""), lambda most: b'{"code": 409, "title": "Conflict", "message": "no"}'
            else:
                self.images[facts["id"]] = facts | {"status": "active", "size": len(data)}, data
                yield Reply(204, {}, b""), lambda most: b""
            return
        whole = self.images[message.path.split("/")[3]][1]
        data = bytearray(self.damage(whole))

        def read(most: int) -> bytes:
            piece = bytes(data[:most])
            del data[:most]
            return piece

        yield Reply(200, {"content-length": str(len(whole))}, b""), read


class Token:
    def current(self) -> tuple[str, bool]: return "agent", True

    def forget(self) -> None: pass


class World:
    def __init__(self, folder: Path, driver: Any = None, config: Config | None = None, url: str = "") -> None:
        self.folder = folder
        self.database = Database(url or f"sqlite:///{folder}/volume.sqlite")
        tables = [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables]
        migrate(self.database, "volume", tables)  # type: ignore[arg-type]
        self.bus = MemoryBus()
        self.app = Application(SERVICE, database=self.database, bus=self.bus, config=config, grant_key=GRANT_KEY)
        self.images = Images()
        self.app.state["service_call"] = lambda: Call(token="admin")
        auth.validate_with(validate)
        client.connect("volume", InProcess(self.app, "http://cloud/block-storage"))
        client.connect("image", self.images)
        for target, handlers in SERVICE.handlers.items():
            self.bus.serve(target, {name: partial(handler, self.app) for name, handler in handlers.items()})
        assert SERVICE.start is not None
        SERVICE.start(self.app)
        self.driver = driver or Simulated(folder / "store")
        self.agent = VolumeAgent(self.bus, {HOST: self.driver}, Token(), locks=folder / "locks")
        self.agent.patience_seconds = 0.5
        self.agent.report()
        self.agent.start()

    def close(self) -> None:
        assert SERVICE.stop is not None
        self.agent.stop()
        SERVICE.stop(self.app)
        self.bus.close()
        self.app.close()
        self.database.close()

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "member", version: str | None = "3.71",
            grant: dict[str, list[str]] | None = None) -> tuple[int, Any]:
        """(status, body) of a request below /v3."""
        before, _, query = path.partition("?")
        headers = {"x-auth-token": who} if who else {}
        if version: headers["openstack-api-version"] = f"volume {version}"
        if grant: headers["x-pilvi-grant"] = self.grant(grant)
        answer = self.app.handle(Request(method, "/v3" + before, query, headers, json.dumps(body).encode() if body is not None else b"",
                                         base="http://cloud/block-storage"))
        data = answer.payload()
        return answer.status, json.loads(data) if data else None

    def grant(self, things: dict[str, list[str]]) -> str:
        return crypto.sign(GRANT_KEY, {"things": things, "host": HOST, "expires": clock.now() + 60})

    def status(self, id: str, kind: str = "volumes") -> str | None:
        code, body = self.ask("GET", f"/{kind}/{id}", who="admin")
        return body[kind[:-1]]["status"] if code == 200 else None

    def until(self, id: str, *wanted: str | None, kind: str = "volumes") -> str | None:
        """Waits until the thing has one of these statuses (None: gone)."""
        ends = time.monotonic() + SECONDS
        while (now := self.status(id, kind)) not in wanted:
            assert time.monotonic() < ends, f"{id} is {now}, not {wanted}"
            time.sleep(0.02)
        return now

    def make(self, *, who: str = "member", until: str = "available", **values: Any) -> str:
        code, body = self.ask("POST", "/volumes", {"volume": {"size": 1} | values}, who=who)
        assert code == 202, body
        self.until(body["volume"]["id"], until)
        return str(body["volume"]["id"])

    def act(self, id: str, name: str, given: Any = None, *, who: str = "member", version: str = "3.71") -> tuple[int, Any]:
        return self.ask("POST", f"/volumes/{id}/action", {name: given if given is not None else {}}, who=who, version=version)

    def snapshot(self, volume_id: str, **values: Any) -> str:
        code, body = self.ask("POST", "/snapshots", {"snapshot": {"volume_id": volume_id} | values})
        assert code == 202, body
        self.until(body["snapshot"]["id"], "available", kind="snapshots")
        return str(body["snapshot"]["id"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """For tests that need a store, options or a database of their own."""
    made: list[World] = []

    def make(driver: Any = None, config: Config | None = None, url: str = "") -> World:
        made.append(World(tmp_path, driver, config, url))
        return made[-1]

    yield make
    for one in made: one.close()
