"""A request's way: versions, tokens, policy, bodies, errors in each family's manner, and the ASGI edge."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.shop import Shop

from pilvi.core.errors import Unavailable
from pilvi.core.http import app, auth
from pilvi.core.http.app import Application, from_scope

Open = Callable[[str], Shop]


@pytest.fixture(params=["nova", "neutron", "keystone"])
def family(request: pytest.FixtureRequest, shop: Open) -> Shop:
    return shop(request.param)


def test_errors_are_in_the_familys_manner(shop: Open) -> None:
    bodies = {name: shop(name).ask("GET", "/v2/things/none").body for name in ("nova", "neutron", "keystone")}
    assert bodies["nova"] == {"itemNotFound": {"code": 404, "message": "Thing none could not be found."}}
    assert bodies["neutron"] == {"NeutronError": {"type": "ThingNotFound", "message": "Thing none could not be found.", "detail": ""}}
    assert bodies["keystone"] == {"error": {"code": 404, "title": "Not Found", "message": "Thing none could not be found."}}


def test_without_a_token_nobody_gets_in(family: Shop) -> None:
    for method, path in [("GET", "/v2/things"), ("POST", "/v2/things"), ("GET", "/v2/nothing"), ("PATCH", "/v2"), ("GET", "/v2/look"),
                         ("FOO", "/v2/things")]:
        for token in ("", "garbage", "\x00", "é" * 3000):
            reply = family.ask(method, path, token=token)
            assert reply.status == 401, (method, path, token)
            assert reply.headers["WWW-Authenticate"] == 'Keystone uri="http://cloud/identity"'


def test_what_is_open_needs_no_token_and_takes_a_bad_one(family: Shop) -> None:
    assert family.ask("GET", "/v2/open", token="").body == {"user": ""}
    assert family.ask("GET", "/v2/open", token="garbage").body == {"user": ""}
    assert family.ask("GET", "/v2/open").body == {"user": "member-of-one"}
    assert family.ask("HEAD", "/v2/open", token="").status == 200
    assert family.ask("GET", "/", token="").status == 300


def test_paths_and_methods_that_are_not(family: Shop) -> None:
    assert family.ask("GET", "/v2/nothing").status == 404
    assert family.ask("GET", "/v2/things/a/b").status == 404
    assert family.ask("GET", "/v2/echo/a%00b").status == 404
    reply = family.ask("PUT", "/v2/things")
    assert reply.status == 405 and set(reply.headers["Allow"].split(", ")) == {"GET", "POST"}
    assert family.ask("BREW", "/v2/things").status == 405


def test_policy_is_asked_before_the_function(family: Shop) -> None:
    assert family.ask("GET", "/v2/look").status == 403
    assert family.ask("GET", "/v2/look", token="admin@one").body == {"seen": True}


def test_bodies_that_cannot_be_read(family: Shop) -> None:
    for raw, headers, status in [
        (b"{", {}, 400), (b'{"thing": {"name": "\\u0000"}}', {}, 400), (b'{"\\u0000": {}}', {}, 400), (b"\xff\xfe", {}, 400),
        (b'{"thing": NaN}', {}, 400), (b"[" * 100_000, {}, 400),
        (b"[" * 100 + b"]" * 100, {}, 400),
        (b'{"thing": {"name": "\\ud800"}}', {}, 400), (b"name=a", {"content_type": "application/x-www-form-urlencoded"}, 415),
        (b"<thing/>", {"content_type": "application/xml"}, 415), (b" " * 1_048_577, {}, 413), (b"1e999", {}, 400)]:
        reply = family.ask("POST", "/v2/things", raw=raw, **headers)
        assert reply.status == status, (raw[:20], reply.body)
    assert family.make(name="\\u0000")["name"] == "\\u0000", "six characters, none of them NUL"
    reply = family.ask("POST", "/v2/things", raw=b'{"thing": {"name": "a"}}', content_type="application/json; charset=utf-8")
    assert reply.status in (200, 201)


def test_a_query_has_limits(family: Shop) -> None:
    assert family.ask("GET", "/v2/things?a=" + "x" * 20_000).status == 413
    assert family.ask("GET", "/v2/things?" + "&".join(["a=1"] * 501)).status == 413
    assert family.ask("GET", "/v2/things?" + "&".join(["a=1"] * 400)).status == 200


def test_a_mistake_of_the_program_tells_nothing(family: Shop) -> None:
    reply = family.ask("GET", "/v2/fail")
    assert reply.status == 500 and "secret" not in str(reply.body)
    assert reply.headers["x-openstack-request-id"].startswith("req-")


def test_every_reply_has_its_own_request_id(family: Shop) -> None:
    ids = {family.ask("GET", path, x_openstack_request_id="req-" + "1" * 8).headers["x-openstack-request-id"]
           for path in ("/v2/open", "/v2/nothing", "/v2/things", "/v2/fail")}
    assert len(ids) == 4


def test_microversions_are_negotiated(shop: Open) -> None:
    nova = shop("nova")
    for headers, status, served in [
        ({}, 200, "2.1"), ({"openstack_api_version": "shop 2.7"}, 200, "2.7"), ({"openstack_api_version": "shop latest"}, 200, "2.10"),
        ({"openstack_api_version": "other 9.9, shop 2.3"}, 200, "2.3"), ({"openstack_api_version": "other 9.9"}, 200, "2.1"),
        ({"x_shop_version": "2.6"}, 200, "2.6"), ({"openstack_api_version": "shop 2.11"}, 406, "2.1"),
        ({"openstack_api_version": "shop 1.0"}, 406, "2.1"),
        ({"openstack_api_version": "shop 2.x"}, 400, "2.1"), ({"openstack_api_version": "shop 2.01"}, 400, "2.1"),
        ({"openstack_api_version": "shop " + "9" * 5000}, 400, "2.1")]:
        reply = nova.ask("GET", "/v2/open", **headers)
        assert (reply.status, reply.headers["OpenStack-API-Version"]) == (status, f"shop {served}"), headers
        assert "OpenStack-API-Version" in reply.headers["Vary"]


def test_a_route_exists_from_its_microversion_on(shop: Open) -> None:
    nova = shop("nova")
    assert nova.ask("GET", "/v2/later").status == 404
    assert nova.ask("GET", "/v2/later", openstack_api_version="shop 2.5").body == {"version": [2, 5]}


def test_a_project_in_the_path_must_be_the_tokens(shop: Open) -> None:
    nova = shop("nova")
    mine, other = "a" * 32, "b" * 32
    assert nova.ask("GET", f"/v2/{mine}/things", token=f"member@{mine}").status == 200
    assert nova.ask("GET", f"/v2/{other}/things", token=f"member@{mine}").status == 400
    assert nova.ask("GET", f"/v2/{other}/things", token=f"admin@{mine}").status == 200


def test_a_token_is_remembered_until_something_is_revoked(shop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    nova, asked = shop("nova"), []
    ask = nova.application.authenticator.ask
    monkeypatch.setattr(nova.application.authenticator, "ask", lambda token, story: asked.append(token) or ask(token, story))
    for _ in range(3): nova.ask("GET", "/v2/things")
    assert len(asked) == 1
    auth.forget()
    nova.ask("GET", "/v2/things")
    assert len(asked) == 2


def over_asgi(application: Application, method: str, path: bytes, body: list[bytes], **more: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of a request that arrives in pieces."""
    sent: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body] + [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path.decode(), "raw_path": path, "query_string": b"", "root_path": "/shop",
             "scheme": "http",
             "headers": [(b"host", b"cloud:1"), (b"x-auth-token", b"member@one")], "client": ("127.0.0.1", 1), **more}
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])


def test_over_asgi(shop: Open) -> None:
    application = shop("neutron").application
    status, headers, body = over_asgi(application, "POST", b"/shop/v2/things", [b'{"thing": ', b'{"name": "a"}}'])
    assert status == 201 and headers[b"content-type"] == b"application/json" and int(headers[b"content-length"]) == len(body)
    status, headers, body = over_asgi(application, "HEAD", b"/shop/v2/things", [])
    assert status == 200 and body == b"" and int(headers[b"content-length"]) > 0
    assert over_asgi(application, "POST", b"/shop/v2/things", [b" " * 600_000] * 2)[0] == 413
    assert over_asgi(application, "GET", b"/shop/v2/echo/a%2Fb%2541", [])[2] == b'{"word":"a/b%41"}'


def test_bodies_that_never_end_neither_fill_the_memory_nor_stay(shop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.limits, "SMALL_BODY_BYTES", 100)
    monkeypatch.setattr(app, "ROOM", [1000])

    async def dripping(sizes: list[int]) -> bytes:
        left = [b"x" * size for size in sizes]

        async def receive() -> dict[str, Any]:
            if not left: await asyncio.Event().wait()
            return {"type": "http.request", "body": left.pop(0), "more_body": True}

        return await app.read_body(receive, 100_000)

    async def story() -> None:
        held = [asyncio.create_task(dripping([500])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable): await dripping([90, 300])
        small = asyncio.create_task(dripping([100]))
        await asyncio.sleep(0)
        assert not small.done(), "a small one is waited for whatever the others do"
        for task in (*held, small): task.cancel()
        await asyncio.gather(*held, small, return_exceptions=True)
        assert app.ROOM == [1000]
        monkeypatch.setattr(app.limits, "BODY_SECONDS", 0.01)
        with pytest.raises(app.BodyLate): await dripping([10])

    asyncio.run(story())


def test_links_follow_the_address_that_the_client_used() -> None:
    scope = {"method": "GET", "path": "/shop/v2", "raw_path": b"/shop/v2", "query_string": b"", "root_path": "/shop", "scheme": "http",
             "headers": [
        (b"host", b"inner:1"), (b"x-forwarded-host", b"cloud.example"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-prefix", b"/api")]}
    assert from_scope(scope).base == "https://cloud.example/api/shop"
