"""Sessions: who gets one, what a browser may know, and that nothing works without the cookie and the page's own word."""
import base64

from sqlalchemy import select
from tests.requests.dashboard.conftest import Browser
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.core.http.app import Application
from pilvi.dashboard.session import SessionRow
from pilvi.identity.signature import passcode


def test_sign_in_shows_who_and_hides_the_token(browser: Browser, dashboard: Application) -> None:
    answer = browser.sign_in()
    assert answer.status == 200
    about = answer.json()
    assert (about["user"]["name"], about["project"]["name"], about["projects"][0]["id"]) == ("demo", "home", "home")
    assert "member" in about["roles"] and "admin" not in about["roles"]
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/dashboard" in cookie
    assert "gAAAA" not in answer.body.decode() + cookie, "no Fernet token leaves the server"
    assert browser.ask("GET", "/session").json()["csrf"] == about["csrf"]
    with dashboard.database.read() as db: row = db.scalars(select(SessionRow)).one()
    word = browser.cookie.partition("=")[2]
    assert word not in f"{row.digest}{row.token}", "the table does not open a session"


def test_a_wrong_password_is_told_and_leaves_nothing(browser: Browser, dashboard: Application) -> None:
    answer = browser.ask("POST", "/session", {"user": "demo", "password": "wrong"})
    assert answer.status == 401 and "wrong" in answer.json()["error"]["message"]
    assert not browser.cookie
    with dashboard.database.read() as db: assert db.scalars(select(SessionRow)).all() == []


SEED = base64.b32encode(b"a seed of 20 letters").decode()


def test_a_second_factor_is_asked_for(browser: Browser, dashboard: Application) -> None:
    identity = dashboard.state["cloud"].by_mount["/identity"]
    admin = Client(identity, Client(identity).sign_in("admin").headers["X-Subject-Token"])

    def rule(*methods: str) -> None:
        options = {"multi_factor_auth_rules": [list(methods)]}
        assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"options": options}}).status == 200

    def told(**more: str) -> str:
        answer = browser.sign_in(**more)
        assert answer.status == 401 and not browser.cookie, answer.body
        return str(answer.json()["error"]["reason"])

    admin.make("credential", type="totp", blob=SEED, user_id="user-demo")
    rule("password", "totp")
    assert told() == told(passcode="") == "passcode_needed"
    assert told(password="wrong") == told(passcode="000000") == "refused"
    assert browser.sign_in(passcode=passcode.of(SEED, int(clock.now()) // 30)).status == 200
    browser.cookie = ""
    rule("password", "application_credential")
    assert told() == told(passcode=passcode.of(SEED, int(clock.now()) // 30)) == "other_factors"


def test_bad_bodies_are_refused(browser: Browser) -> None:
    for body in ({}, {"user": "demo"}, {"user": "demo", "password": 1}, {"user": "demo", "password": "x", "more": 1}, [1], b"{"):
        assert browser.ask("POST", "/session", body).status == 400


def test_without_a_session(browser: Browser) -> None:
    assert browser.ask("GET", "/session").status == 204
    browser.cookie = "pilvi_session=guess"
    assert browser.ask("GET", "/session").status == 204
    assert browser.ask("PUT", "/session", {"project_id": "home"}).status == 401


def test_sign_out_revokes_the_token(browser: Browser, dashboard: Application) -> None:
    browser.sign_in()
    kept = browser.cookie
    answer = browser.ask("DELETE", "/session")
    assert answer.status == 204 and "Max-Age=0" in answer.headers["set-cookie"]
    browser.cookie = kept
    assert browser.ask("GET", "/session").status == 204
    assert browser.ask("GET", "/api/identity/v3/auth/projects").status == 401


def test_a_session_ends_with_its_token(browser: Browser, dashboard: Application) -> None:
    browser.sign_in()
    with dashboard.database.write() as db: db.scalars(select(SessionRow)).one().expires_at = clock.now() - 1
    assert browser.ask("GET", "/session").status == 204
    browser.sign_in()
    with dashboard.database.read() as db: assert len(db.scalars(select(SessionRow)).all()) == 1, "the one that ended is gone"


def test_switching_to_a_foreign_project_is_refused(browser: Browser) -> None:
    browser.sign_in()
    assert browser.ask("PUT", "/session", {"project_id": "elsewhere"}).status in (401, 403)
    assert browser.ask("GET", "/session").json()["project"]["id"] == "home"
    kept = browser.cookie
    assert browser.ask("PUT", "/session", {"project_id": "home"}).status == 200
    assert browser.cookie != kept, "another session, another word"
    browser.cookie = kept
    assert browser.ask("GET", "/session").status == 204


def test_other_sites_get_nothing(browser: Browser) -> None:
    browser.sign_in()
    assert browser.ask("DELETE", "/session", x_csrf_token="").status == 403
    assert browser.ask("DELETE", "/session", x_csrf_token="0" * 64).status == 403
    assert browser.ask("GET", "/session", sec_fetch_site="cross-site").status == 403
    assert browser.ask("POST", "/session", {"user": "demo", "password": "demo!"}, origin="http://elsewhere.test").status == 403
    assert browser.ask("GET", "/session").status == 200
