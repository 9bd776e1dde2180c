"""The way from the page to the APIs."""
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from sqlalchemy import select
from tests.requests.dashboard.conftest import Browser

from pilvi.core.http.app import Application
from pilvi.dashboard.session import SessionRow


def test_it_asks_as_the_user(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.ask("GET", "/api/identity/v3/auth/projects")
    assert answer.status == 200 and [p["id"] for p in answer.json()["projects"]] == ["home"]
    assert browser.ask("GET", "/api/identity/v3/users").status == 403, "a member may not list users, here as there"
    admin = Browser(browser.cloud)
    admin.sign_in("admin")
    assert admin.ask("GET", "/api/identity/v3/users").status == 200


def test_nothing_without_a_session_or_the_pages_word(browser: Browser) -> None:
    assert browser.ask("GET", "/api/identity/v3/projects").status == 401
    assert browser.ask("GET", "/api/identity/v3/projects", x_auth_token="whatever").status == 401
    browser.sign_in("admin")
    body = {"project": {"name": "new"}}
    assert browser.ask("POST", "/api/identity/v3/projects", body, x_csrf_token="").status == 403
    assert browser.ask("POST", "/api/identity/v3/projects", body).status == 201
    assert browser.ask("POST", "/api/identity/v3/projects", body, sec_fetch_site="same-site").status == 403


def test_what_comes_back_can_do_nothing_in_a_browser(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.ask("GET", "/api/identity/v3/auth/projects")
    assert "sandbox" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    again = browser.ask("POST", "/api/identity/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "demo", "domain": {"id": "default"}, "password": "demo!"}}}}})
    assert again.status == 201 and "x-subject-token" not in again.headers, "no token for a script, however it asks"


def test_headers_of_the_border_stay_behind(browser: Browser) -> None:
    browser.sign_in()
    browser.ask("GET", "/api/identity/v3/auth/projects", x_pilvi_trace="x", x_pilvi_grant="y", x_service_token="z", x_keep="k")
    passed = {name.decode() for name, _ in browser.cloud.scopes[-1]["headers"]}
    assert "x-keep" in passed and "x-auth-token" in passed
    assert not passed & {"cookie", "x-csrf-token", "x-pilvi-trace", "x-pilvi-grant", "x-service-token", "origin"}


def test_encoded_paths_stay_as_they_are(browser: Browser) -> None:
    browser.sign_in()
    browser.ask("GET", "/api/identity/v3/projects/a%2Fb?x=1%202")
    assert browser.cloud.scopes[-1]["raw_path"] == b"/identity/v3/projects/a%2Fb"
    assert browser.cloud.scopes[-1]["query_string"] == b"x=1%202"


def test_unknown_services(browser: Browser) -> None:
    browser.sign_in()
    assert browser.ask("GET", "/api/nothing/v1").status == 404
    assert browser.ask("GET", "/api/dashboard/session").status == 404, "not to itself"


@asynccontextmanager
async def elsewhere() -> AsyncIterator[str]:
    """A service of another process, which tells what it was asked and sends bytes back."""
    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(status=201, body=f"{request.method} {request.raw_path} {len(body)} ".encode() + body[:3], headers={
            "X-Subject-Token": "secret", "X-Seen": request.headers.get("X-Auth-Token", "")[:5], "Content-Type": "text/html"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try: yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally: await runner.cleanup()


def test_a_service_of_another_process(browser: Browser, dashboard: Application) -> None:
    browser.sign_in()

    async def story() -> None:
        async with elsewhere() as url:
            with dashboard.database.write() as db:
                row = db.scalars(select(SessionRow)).one()
                row.about = {**row.about, "endpoints": {"object-store": f"{url}/v1/AUTH_home"}}
            answer = await browser.asks("PUT", "/api/object-store/v1/AUTH_home/c/a%20b%2Fc?x=1", b"abc" * 100_000)
            assert (answer.status, answer.body) == (201, b"PUT /v1/AUTH_home/c/a%20b%2Fc?x=1 300000 abc")
            assert answer.headers["x-seen"] == "gAAAA" and "x-subject-token" not in answer.headers
            assert "sandbox" in answer.headers["content-security-policy"]
        gone = await browser.asks("GET", "/api/object-store/v1/AUTH_home")
        assert gone.status == 503

    asyncio.run(story())
