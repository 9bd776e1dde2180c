"""The page's files and the policy that comes with them."""
import gzip

from tests.requests.dashboard.conftest import Browser

from pilvi.core.http.app import Application


def test_every_place_gets_the_page(browser: Browser) -> None:
    for path in ("", "/", "/servers", "/servers/abc", "/admin/hosts"):
        answer = browser.ask("GET", path)
        assert answer.status == 200 and b"Pilvi" in answer.body, path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-cache"


def test_files_last_and_are_compressed(browser: Browser) -> None:
    answer = browser.ask("GET", "/assets/a-123.js")
    assert answer.body == b"1" and "immutable" in answer.headers["cache-control"] and "javascript" in answer.headers["content-type"]
    squeezed = browser.ask("GET", "/", accept_encoding="br, gzip")
    assert squeezed.headers["content-encoding"] == "gzip" and b"Pilvi" in gzip.decompress(squeezed.body)


def test_nothing_outside_of_the_folder(browser: Browser, dashboard: Application) -> None:
    (dashboard.state["dashboard_files"].parent / "secret").write_text("secret")
    for path in ("/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/%2fetc/passwd"):
        assert b"secret" not in browser.ask("GET", path).body and b"root:" not in browser.ask("GET", path).body
    assert browser.ask("GET", "/assets/none.js").status == 404


def test_what_is_not_built_says_so(browser: Browser, dashboard: Application) -> None:
    dashboard.state["dashboard_files"] = None
    answer = browser.ask("GET", "/")
    assert answer.status == 503 and "pilvi up" in answer.json()["error"]["message"]
