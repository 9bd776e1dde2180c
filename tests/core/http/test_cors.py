"""Pages from elsewhere: who may call, what the browser is told; and services that look after that themselves."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.core.http.test_app import over_asgi
from tests.core.shop import Shop

from pilvi.core.http import cors
from pilvi.core.http.app import Application
from pilvi.run.server import SERVICES

Open = Callable[[str], Shop]
PAGE = "https://page.example"


@pytest.fixture
def application(shop: Open) -> Iterator[Application]:
    cors.configure(cors.Config(allowed_origins=[PAGE], max_age_seconds=60))
    yield shop("nova").application
    cors.configure(cors.Config())


def answer(application: Application, method: str, path: str = "/v2/things", **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers. Header names are written with underscores."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    status, got, _ = over_asgi(application, method, b"/shop" + path.encode(), [], headers=[(b"host", b"cloud"), *sent])
    return status, {name.decode(): value.decode() for name, value in got.items()}


def permission(headers: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("access-control-"): value for name, value in headers.items() if name.startswith("access-control-")}


def ask(application: Application, **headers: str) -> dict[str, str]:
    """What a browser is told before a POST of this page."""
    question = {"origin": PAGE, "access_control_request_method": "POST", "access_control_request_headers": "x-auth-token, Content-Type"}
    status, got = answer(application, "OPTIONS", **{**question, **headers})
    assert status == 200 and got["content-length"] == "0"
    return permission(got)


def test_a_browser_is_told_what_its_page_may_do(application: Application) -> None:
    assert ask(application) == {"allow-origin": PAGE, "allow-credentials": "true", "allow-methods": "POST", "max-age": "60",
                                "allow-headers": "x-auth-token,Content-Type"}
    assert ask(application, access_control_request_headers="")["allow-methods"] == "POST"


@pytest.mark.parametrize("wrong", [
    {"origin": "https://other.example"}, {"origin": PAGE + "/"}, {"origin": PAGE.replace("https", "http")}, {"origin": "null"},
    {"access_control_request_method": "BREW"}, {"access_control_request_method": ""},
    {"access_control_request_headers": "x-auth-token, x-forwarded-for"}])
def test_others_are_told_nothing(application: Application, wrong: dict[str, str]) -> None:
    assert ask(application, **wrong) == {}


def test_answers_may_be_read_by_the_page_refusals_too(application: Application) -> None:
    for path, token, status in (("/v2/things", "member@one", 200), ("/v2/things", "", 401), ("/v2/look", "member@one", 403)):
        got, headers = answer(application, "GET", path, origin=PAGE, x_auth_token=token)
        assert got == status
        told = permission(headers)
        assert told.pop("expose-headers").split(",")[:2] == ["X-Auth-Token", "X-Subject-Token"]
        assert told == {"allow-origin": PAGE, "allow-credentials": "true"}
        assert "Origin" in headers["vary"] and "OpenStack-API-Version" in headers["vary"]
    assert permission(answer(application, "GET", origin="https://other.example", x_auth_token="member@one")[1]) == {}
    assert permission(answer(application, "GET", x_auth_token="member@one")[1]) == {}


def test_any_page_but_without_credentials(application: Application) -> None:
    cors.configure(cors.Config(allowed_origins=["*"]))
    assert ask(application)["allow-origin"] == "*" and "allow-credentials" not in ask(application)
    assert permission(answer(application, "GET", "/v2/open", origin=PAGE)[1])["allow-origin"] == "*"


def test_off_unless_configured(application: Application) -> None:
    cors.configure(cors.Config())
    assert ask(application) == {}
    assert permission(answer(application, "GET", "/v2/open", origin=PAGE)[1]) == {}


def test_options_tells_the_methods_without_a_token(application: Application) -> None:
    assert answer(application, "OPTIONS")[1]["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer(application, "OPTIONS", "/v2/nothing")[1]["allow"] == "OPTIONS"


def test_the_dashboards_cookie_and_containers_rules_are_left_alone() -> None:
    assert {service.name for service in SERVICES if service.cors is None} == {"dashboard", "objectstore"}
