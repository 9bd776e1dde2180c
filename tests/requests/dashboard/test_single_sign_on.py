"""Coming back from another provider: whose token becomes a session, in whose browser, and how often."""
from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import select
from tests.requests.dashboard.conftest import HOST, Answer, Browser
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.core.errors import Unavailable
from pilvi.core.http import client
from pilvi.core.http.app import Application
from pilvi.dashboard.session import SessionRow
from pilvi.dashboard.single_sign_on import PATH
from pilvi.identity.token.formats import Payload, new_audit_id

RECEIVER = f"http://{HOST}/dashboard{PATH}"


@pytest.fixture
def identity(dashboard: Application) -> Application:
    found: Application = dashboard.state["cloud"].by_mount["/identity"]
    return found


@pytest.fixture
def admin(identity: Application) -> Client:
    return Client(identity, Client(identity).sign_in("admin").headers["X-Subject-Token"])


def unscoped(identity: Application, user: str = "demo") -> str:
    """What identity hands over for whom a provider vouches; how it came to it makes no difference here."""
    return Client(identity).sign_in(user, scope="unscoped").headers["X-Subject-Token"]


def set_out(browser: Browser) -> str:
    """Begins; the ticket."""
    answer = browser.ask("GET", f"{PATH}/acme/openid", sec_fetch_site="none", origin="")
    assert answer.status == 303, answer.body
    origin = parse_qs(urlsplit(answer.headers["location"]).query)["origin"][0]
    return origin.removeprefix(RECEIVER + "/")


def come_back(browser: Browser, ticket: str, token: str | bytes, **headers: str) -> Answer:
    """What identity's page does, which has the dashboard's own origin."""
    body = token if isinstance(token, bytes) else urlencode({"token": token}).encode()
    return browser.ask("POST", f"{PATH}/{ticket}", body, x_csrf_token="", content_type="application/x-www-form-urlencoded", **headers)


def sessions(dashboard: Application) -> int:
    with dashboard.database.read() as db: return len(db.scalars(select(SessionRow)).all())


def test_it_sets_out_with_a_word_and_a_ticket_for_it(browser: Browser) -> None:
    answer = browser.ask("GET", f"{PATH}/acme/openid", host="evil.test", x_forwarded_host="evil.test")
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc) == ("http", HOST), "whatever address the request names"
    assert place.path == "/identity/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso"
    origin = parse_qs(place.query)["origin"][0]
    assert origin.startswith(f"{RECEIVER}/") and len(origin) == len(RECEIVER) + 65
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", f"Path=/dashboard{PATH};", "Max-Age=600"))
    assert browser.cookie.partition("=")[2] not in answer.headers["location"]
    assert "Secure" in browser.ask("GET", f"{PATH}/acme/openid", x_forwarded_proto="https").headers["set-cookie"]
    strange = browser.ask("GET", f"{PATH}/%2F%2Fevil.test%2F%3F/%22%3E%0d%0aX:y").headers["location"]
    assert urlsplit(strange).netloc == HOST and "identity_providers/%2F%2Fevil.test%2F%3F/protocols/%22%3E%0D%0AX%3Ay/" in strange


def test_a_token_becomes_a_session_once(browser: Browser, dashboard: Application, identity: Application) -> None:
    ticket, token = set_out(browser), unscoped(identity)
    word = browser.cookie
    answer = come_back(browser, ticket, token)
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard/") and browser.cookie.startswith("pilvi_session=")
    about = browser.ask("GET", "/session").json()
    assert (about["user"]["name"], about["project"]["name"]) == ("demo", "home")
    browser.csrf = about["csrf"]
    assert browser.ask("GET", "/api/identity/v3/auth/projects").status == 200
    assert browser.ask("PUT", "/session", {"project_id": "home"}).status == 200, "changing projects needs no other token"
    again = Browser(browser.cloud, word)
    for same in (token, token + "=", token.replace("gAAA", "gA.AA")):  # base64 may be written in several ways
        again.cookie = word
        assert come_back(again, ticket, same).headers["location"] == "/dashboard/?sign_in=refused"
    assert again.ask("GET", "/session").status == 204 and sessions(dashboard) == 1


def test_nobody_is_signed_in_as_somebody_else(browser: Browser, dashboard: Application, identity: Application) -> None:
    stranger = Browser(browser.cloud)
    theirs, token = set_out(stranger), unscoped(identity, "watcher")
    not_begun = "/dashboard/?sign_in=not_begun"
    assert come_back(browser, theirs, token).headers["location"] == not_begun, "it never set out"
    own = set_out(browser)
    assert come_back(browser, theirs, token).headers["location"] == not_begun, "it did, but not with this ticket"
    ticket = set_out(browser)
    assert come_back(browser, own, token).headers["location"] == not_begun, "the word was another one by then"
    ticket = set_out(browser)
    for odd in ("é", "x" * 5000, "%00", ticket.upper()): assert come_back(browser, odd, token).status in (303, 404)
    ticket = set_out(browser)
    for foreign in ({"origin": "http://evil.test"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        word = browser.cookie
        assert come_back(browser, ticket, token, **foreign).headers["location"] == not_begun
        assert browser.cookie == "pilvi_sign_in="
        browser.cookie = word
    assert sessions(dashboard) == 0 and Client(identity).alive(token)
    assert come_back(browser, ticket, token).headers["location"] == "/dashboard/"


def expired(identity: Application) -> str:
    payload = Payload("user-demo", ["openid"], "", "", clock.now() - 100, clock.now() - 1, [new_audit_id()], None, None)
    sealed: str = identity.state["keyring"].seal(payload)
    return sealed


def test_what_is_no_token(browser: Browser, dashboard: Application, identity: Application) -> None:
    revoked = unscoped(identity)
    Client(identity, revoked).ask("DELETE", "/v3/auth/tokens", x_subject_token=revoked)
    bodies: tuple[Any, ...] = (
        "", "x", "gAAAAA" + "B" * 200, "a\r\nx-auth-token: b", "<script>alert(1)</script>", "ж", "x" * 60_000, revoked, expired(identity),
        b"", b"\xff\xfe", b"token", b"&" * 100, b"token[]=1", b'{"token": "x"}')
    for body in bodies:
        ticket = set_out(browser)
        answer = come_back(browser, ticket, body)
        assert (answer.status, answer.headers["location"], answer.body) == (303, "/dashboard/?sign_in=refused", b""), body
    assert sessions(dashboard) == 0


def test_somebody_without_a_project(browser: Browser, dashboard: Application, identity: Application, admin: Client) -> None:
    admin.make("user", name="<b>new", password="new", domain_id="default")
    token = Client(identity).sign_in("<b>new", "new", scope="unscoped").headers["X-Subject-Token"]
    answer = come_back(browser, set_out(browser), token)
    assert answer.headers["location"] == "/dashboard/?sign_in=no_project"
    assert sessions(dashboard) == 0


def test_identity_is_away(browser: Browser, dashboard: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        name = "http"

        def send(self, message: client.Message) -> client.Reply: raise Unavailable(reason="it is away")

    ticket = set_out(browser)
    monkeypatch.setitem(client.TRANSPORTS, "identity", Away())
    assert come_back(browser, ticket, "x").headers["location"] == "/dashboard/?sign_in=unavailable"
    assert browser.ask("GET", PATH).status == 503


OPENID = '[openid]\nissuer = "https://acme"\nclient_id = "pilvi"\n'


def test_who_is_offered(browser: Browser, identity: Application, admin: Client) -> None:
    folder: Path = identity.state["federation_directory"]
    folder.mkdir()

    def put(path: str, body: Any) -> None: assert admin.ask("PUT", f"/v3/OS-FEDERATION/{path}", body).status == 201

    def offered() -> dict[str, str]:
        answer = browser.ask("GET", PATH)
        assert answer.status == 200, answer.body
        return {one["title"]: one["address"].removeprefix(RECEIVER) for one in answer.json()["choices"]}

    assert offered() == {}
    put("mappings/people", {"mapping": {"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-email"}]}]}})
    for id in ("acme", "broken", "club", "programs", "unknown"):
        put(f"identity_providers/{id}", {"identity_provider": {"enabled": True, "domain_id": "default"}})
        put(f"identity_providers/{id}/protocols/openid", {"protocol": {"mapping_id": "people"}})
    (folder / "acme.toml").write_text(OPENID + 'client_secret = "secret"\n')
    (folder / "broken.toml").write_text("[openid")
    (folder / "club.toml").write_text('button = "<Club>"\n[saml]\nmetadata = "club.xml"\n')
    (folder / "programs.toml").write_text(OPENID)
    assert offered() == {"acme": "/acme/openid", "<Club>": "/club/openid"}, "only what works with a browser"
    put("identity_providers/acme/protocols/saml2", {"protocol": {"mapping_id": "people"}})
    (folder / "club.toml").write_text('button = ""\n[saml]\nmetadata = "club.xml"\n')
    assert offered() == {"acme (openid)": "/acme/openid", "acme (saml2)": "/acme/saml2"}, "the operator keeps one back"
    assert admin.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": {"enabled": False}}).status == 200
    assert offered() == {}
