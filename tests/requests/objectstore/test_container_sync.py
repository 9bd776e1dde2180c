"""Container sync between two stores, and what the receiving side refuses."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.requests.objectstore.conftest import Client, who

from pilvi.core.db.session import Database
from pilvi.core.http.app import Application
from pilvi.objectstore import timestamp
from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.config import Config
from pilvi.objectstore.loops.shard import shard
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.middleware import chain
from pilvi.objectstore.proxy.traffic import Traffic
from pilvi.objectstore.proxy.world import World
from pilvi.objectstore.service import SERVICE, door
from pilvi.objectstore.sync.realms import Realms, signature
from pilvi.objectstore.sync.send import Sender, over_http

FILE = "[us]\nkey = secret\nkey2 = next\ncluster_a = http://a/v1/\ncluster_b = http://b/v1/\n"


class Cloud:
    """A store with its API and its sender; `peers` are reached by host."""

    def __init__(self, path: Path, name: str, runner: asyncio.Runner, secrets: dict[str, str]) -> None:
        (path / "realms").write_text(FILE)
        self.storage, self.peers = StorageOptions(reserve_bytes=0, shard_objects=6), dict[str, Cloud]()
        config = Config(sync_realms=str(path / "realms"), encryption_root_secrets=secrets)
        self.application = Application(SERVICE, database=Database(f"sqlite:///{path}/{name}.sqlite"), config=config, identity_url="http://x")
        self.application.authenticator.ask = who
        store = self.application.state["object_store"] = open_store(path / name, self.storage)
        self.ask, self.runner = Client(door(self.application), runner), runner
        self.work = Work(store, store.members.local, self.storage)  # type: ignore[arg-type]
        world = World(store, config, self.application, Traffic())
        self.sender = Sender(Realms(config.sync_realms), chain.inner(world), self.send)
        self.sent: list[tuple[str, str, int]] = []

    async def send(self, method: str, address: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None) -> int:
        host, path = address.removeprefix("http://").split("/", 1)
        content = b"".join([piece async for piece in body]) if body else b""
        if host not in self.peers: raise OSError("no such host")
        answer = await self.peers[host].ask.browser.request(method, "/" + path, content=content, headers=dict(headers))
        self.sent.append((method, path, answer.status_code))
        return answer.status_code

    def sync(self) -> list[tuple[str, str, int]]:
        """A round; what was sent in it."""
        self.sent.clear()
        self.runner.run(self.sender(self.work))
        return sorted(self.sent)

    def close(self) -> None:
        self.work.close()
        self.runner.run(self.application.state["object_store"].close())
        self.application.close()


@pytest.fixture
def clouds(tmp_path: Path) -> Iterator[tuple[Cloud, Cloud]]:
    with asyncio.Runner() as runner:
        secret = {"one": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=="}
        a, b = Cloud(tmp_path, "a", runner, secret), Cloud(tmp_path, "b", runner, {})
        a.peers["b"], b.peers["a"] = b, a
        yield a, b
        a.close(), b.close()


def contain(cloud: Cloud, name: str, to: str = "", key: str = "user key") -> None:
    """A container that takes, and sends if told where."""
    wishes = {"x_container_sync_to": to} if to else {}
    answer = cloud.ask("PUT", f"/v1/AUTH_one/{name}", x_container_sync_key=key, **wishes)
    assert answer.status_code == 201, answer.text


def listed(cloud: Cloud, name: str) -> list[tuple[str, str, int, str]]:
    lines = cloud.ask("GET", f"/v1/AUTH_one/{name}?format=json").json()
    return [(line["name"], line["hash"], line["bytes"], line["last_modified"]) for line in lines]


def test_a_container_becomes_as_the_other(clouds: tuple[Cloud, Cloud]) -> None:
    a, b = clouds
    contain(a, "c", "//us/b/AUTH_one/copy")
    contain(b, "copy")
    a.ask("PUT", "/v1/AUTH_one/c/a b/é", b"abc", x_object_meta_color="red", content_type="image/png")
    a.ask("PUT", "/v1/AUTH_one/c/seg/1", b"1" * 100)
    a.ask("PUT", "/v1/AUTH_one/c/large?multipart-manifest=put", b'[{"path": "/c/seg/1"}]')
    a.ask("PUT", "/v1/AUTH_one/c/link", b"", x_symlink_target="c/seg/1")
    b.ask("PUT", "/v1/AUTH_one/c")
    b.ask("PUT", "/v1/AUTH_one/c/seg/1", b"1" * 100)  # where the manifest and the link look
    assert [status for _, _, status in a.sync()] == [201, 201, 201, 201]
    found = b.ask("GET", "/v1/AUTH_one/copy/a b/é")
    assert (found.content, found.headers["x-object-meta-color"], found.headers["content-type"]) == (b"abc", "red", "image/png")
    assert found.headers["x-timestamp"] == a.ask("HEAD", "/v1/AUTH_one/c/a b/é").headers["x-timestamp"]
    assert listed(b, "copy") == listed(a, "c")
    for name in ("large", "link"): assert b.ask("GET", f"/v1/AUTH_one/copy/{name}").content == b"1" * 100
    assert a.sync() == []
    a.ask("POST", "/v1/AUTH_one/c/a b/é", x_object_meta_color="blue")
    a.ask("DELETE", "/v1/AUTH_one/c/seg/1")
    assert [(method, status) for method, _, status in a.sync()] == [("DELETE", 204), ("PUT", 201)]
    assert b.ask("HEAD", "/v1/AUTH_one/copy/a b/é").headers["x-object-meta-color"] == "blue"
    assert b.ask("GET", "/v1/AUTH_one/copy/seg/1").status_code == 404


def test_both_ways_ends_in_the_same(clouds: tuple[Cloud, Cloud]) -> None:
    a, b = clouds
    contain(a, "c", "//us/b/AUTH_one/c")
    contain(b, "c", "//us/a/AUTH_one/c")
    for number in range(3): a.ask("PUT", f"/v1/AUTH_one/c/o{number}", b"of a")
    for number in range(2, 5): b.ask("PUT", f"/v1/AUTH_one/c/o{number}", b"of b")
    for _ in range(4): sent = a.sync() + b.sync()
    assert sent == []
    assert listed(a, "c") == listed(b, "c") and len(listed(a, "c")) == 5
    assert a.ask("GET", "/v1/AUTH_one/c/o2").content == b"of b"


def test_what_could_not_be_told_is_told_later(clouds: tuple[Cloud, Cloud]) -> None:
    a, b = clouds
    contain(a, "c", "//us/b/AUTH_one/c")
    a.ask("PUT", "/v1/AUTH_one/c/early", b"1")
    peer = a.peers.pop("b")
    assert a.sync() == []
    a.peers["b"] = peer
    assert [status for _, _, status in a.sync()] == [401]  # there is no such container, so no key
    contain(b, "c")
    b.ask("PUT", "/v1/AUTH_one/c/x")
    assert [status for _, _, status in a.sync()] == [201]
    assert a.sync() == []


def test_a_divided_container_is_sent_too(clouds: tuple[Cloud, Cloud]) -> None:
    a, b = clouds
    contain(a, "c", "//us/b/AUTH_one/c")
    contain(b, "c")
    for number in range(10): a.ask("PUT", f"/v1/AUTH_one/c/o{number}", b"x")
    a.runner.run(shard(a.work))
    a.ask("PUT", "/v1/AUTH_one/c/late", b"x")
    for _ in range(2): a.sync()
    assert listed(b, "c") == listed(a, "c") and len(listed(b, "c")) == 11


def test_only_who_holds_both_keys_is_let_in(clouds: tuple[Cloud, Cloud]) -> None:
    _, b = clouds
    contain(b, "c", key="user key")

    def put(path: str, realm_key: str = "secret", user_key: str = "user key", at: str | None = None, auth: str | None = None) -> int:
        now = timestamp.text(timestamp.now())
        sign = signature("PUT", path, now, "nonce", realm_key, user_key)
        return b.ask("PUT", path, b"x", token=None, x_timestamp=at or now, x_container_sync_auth=auth or f"us nonce {sign}").status_code

    assert put("/v1/AUTH_one/c/%C3%A9") == put("/v1/AUTH_one/c/o", realm_key="next") == 201
    assert put("/v1/AUTH_one/c/o", realm_key="wrong") == put("/v1/AUTH_one/c/o", user_key="wrong") == 401
    assert put("/v1/AUTH_one/c/o", at="1.00000") == put("/v1/AUTH_one/c/o", auth="us nonce") == put("/v1/AUTH_one/c/o", auth="x y z") == 401
    assert put("/v1/AUTH_one/c") == put("/v1/AUTH_one/none/o") == 401
    old = timestamp.text(timestamp.now() - 10 * timestamp.TICKS)
    sign = signature("PUT", "/v1/AUTH_one/c/o", old, "n", "secret", "user key")
    answer = b.ask("PUT", "/v1/AUTH_one/c/o", b"older", token=None, x_timestamp=old, x_container_sync_auth=f"us n {sign}")
    assert answer.status_code == 202 and b.ask("GET", "/v1/AUTH_one/c/o").content == b"x"
    assert b.ask("GET", "/info").json()["container_sync"] == {"realms": {"US": {"clusters": {"A": {}, "B": {}}}}}


@pytest.mark.parametrize("wish", ["http://else/v1/a/c", "//us/c/a/c", "//them/a/a/c", "//us/a/c"])
def test_wishes_lead_to_known_clouds_only(clouds: tuple[Cloud, Cloud], wish: str) -> None:
    a, _ = clouds
    assert a.ask("PUT", "/v1/AUTH_one/c", x_container_sync_to=wish).status_code == 400


def test_over_the_network() -> None:
    """What the sender's own client sends, and that it reports who is away as such."""
    async def run() -> None:
        met: list[Any] = []

        async def handler(request: web.Request) -> web.Response:
            met.append((request.method, request.raw_path, request.headers["x-timestamp"], await request.read()))
            return web.Response(status=201)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/a/c/%C3%A9?x=1"

        async def body() -> AsyncIterator[bytes]:
            yield b"abc"

        assert await over_http("PUT", address, {"x-timestamp": "1", "content-length": "3"}, body()) == 201
        await runner.cleanup()
        assert met == [("PUT", "/v1/a/c/%C3%A9?x=1", "1", b"abc")]
        with pytest.raises(OSError): await over_http("DELETE", address, {"x-timestamp": "1"}, None)

    asyncio.run(run())
