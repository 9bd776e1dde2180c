"""Signing in to the dashboard in a real browser: through a provider of identities on another site, and with a one-time code."""
from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import Browser, expect
from tests.outside.clouds import Cloud
from tests.outside.visitor import User, chromium_browser

from pilvi.identity.signature import passcode

pytestmark = pytest.mark.slow
SEED = base64.b32encode(b"a seed of 20 letters").decode()
NAME = "Acme <img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("sign-in").while_up("--simulated", "--empty")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    yield from chromium_browser()


@pytest.fixture(scope="module")
def admin(cloud: Cloud) -> Any:
    return cloud.connect("pilvi").identity


@pytest.fixture(scope="module")
def provider(cloud: Cloud, admin: Any) -> Iterator[str]:
    """The address of a provider: at `localhost`, so for browsers on another site than the cloud at 127.0.0.1. Of its people ada is an
    engineer, who are members of demo; bob is not."""
    with run_server_in_thread() as server:
        url = f"http://localhost:{server.server_port}"
        folder = cloud.state / "federation"
        folder.mkdir(exist_ok=True)
        (folder / "acme.toml").write_text(
            f'button = "{NAME}"\n[openid]\nissuer = "{url}"\nclient_id = "pilvi"\nclient_secret = "secret"\n')
        group = admin.create_group(name="engineers", domain_id="default")
        admin.assign_project_role_to_group(admin.find_project("demo"), group, admin.find_role("member"))
        admin.create_mapping(id="people", rules=[{
            "local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}],
            "remote": [{"type": "OIDC-email"}, {"type": "OIDC-groups"}]}])
        admin.create_identity_provider(id="acme", is_enabled=True, domain_id="default")
        admin.create_federation_protocol("acme", id="openid", mapping_id="people")
        for name, groups in (("ada", ["engineers"]), ("bob", [])):
            claims = {"email": f"{name}@acme.example", "groups": groups}
            httpx.put(f"{url}/users/{name}", json=claims | {"userinfo": claims}).raise_for_status()
        yield url


@pytest.fixture
def visitor(cloud: Cloud, chromium: Browser) -> Iterator[User]:
    """Somebody before the sign-in page."""
    user = User(cloud, chromium, "pilvi-demo")
    user.page.route("**://cdn.jsdelivr.net/**", lambda route: route.abort())  # the provider's page wants to look nice
    user.page.goto(user.root + "/")
    yield user
    assert user.broken == []
    user.context.close()


def to_provider(user: User) -> str:
    """Presses the button; the address to which the token is to come."""
    with user.page.expect_request("**/websso?origin=*") as sent: user.page.get_by_role("link", name="Sign in with Acme").click()
    user.page.get_by_placeholder("sub").wait_for()
    return parse_qs(urlsplit(sent.value.url).query)["origin"][0]


def answer_as(user: User, name: str) -> None:
    user.page.get_by_placeholder("sub").fill(name)
    user.page.get_by_role("button", name="Authorize").click()


def test_through_a_provider_and_out_again(visitor: User, provider: str) -> None:
    page = visitor.page
    expect(page.get_by_role("link", name=f"Sign in with {NAME}")).to_be_visible()
    expect(page.get_by_label("User", exact=True)).to_be_focused()
    for _ in range(4): page.keyboard.press("Tab")  # password, more options, sign in
    expect(page.get_by_role("link", name="Sign in with Acme")).to_be_focused()
    page.keyboard.press("Enter")
    answer_as(visitor, "ada")
    expect(page.get_by_role("heading", name="Hello, ada@acme.example")).to_be_visible()
    expect(page.get_by_text("The project demo at a glance.")).to_be_visible()
    assert page.url == f"{visitor.root}/dashboard/"
    kept = {cookie["name"]: cookie for cookie in visitor.context.cookies()}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for name, cookie in kept.items() if name.startswith("pilvi_"))
    assert "gAAAA" not in page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") + page.content()
    page.reload()
    expect(page.get_by_role("heading", name="Hello, ada@acme.example")).to_be_visible()
    page.get_by_role("button", name="ada@acme.example").last.click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0


def test_who_has_no_project_and_who_changes_their_mind(visitor: User, provider: str) -> None:
    page = visitor.page
    to_provider(visitor)
    answer_as(visitor, "bob")
    expect(page.get_by_role("alert")).to_contain_text("no role in any project")
    assert page.url == f"{visitor.root}/dashboard/"
    to_provider(visitor)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("access_denied")).to_be_visible()
    page.get_by_role("link", name="Back to the cloud").click()
    expect(page.get_by_role("link", name="Sign in with Acme")).to_be_visible()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("link", name="使用 Acme")).to_be_visible()


def test_another_site_cannot_sign_somebody_in(visitor: User, provider: str, admin: Any) -> None:
    page = visitor.page
    receiver = to_provider(visitor)  # now on another site, which knows even this
    token = admin.get_token()
    page.evaluate("""([address, token]) => {
        const form = document.createElement("form"), field = document.createElement("input")
        form.method = "post"; form.action = address; field.name = "token"; field.value = token
        form.append(field); document.body.append(form); form.submit() }""", [receiver, token])
    expect(page.get_by_role("alert")).to_contain_text("was not begun in this browser")
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_one_time_code_is_asked_for(visitor: User, admin: Any) -> None:
    made = admin.post("/users", json={"user": {"name": "careful", "password": "secret", "options": {
        "multi_factor_auth_rules": [["password", "totp"]]}}}).json()["user"]
    admin.assign_project_role_to_user(admin.find_project("demo"), made["id"], admin.find_role("member"))
    admin.create_credential(type="totp", blob=SEED, user_id=made["id"])
    page = visitor.page
    page.get_by_label("User", exact=True).fill("careful")
    page.get_by_label("Password", exact=True).fill("secret")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("one-time code")
    expect(page.get_by_label("One-time code")).to_be_focused()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("one-time code is wrong")
    page.get_by_label("Password", exact=True).fill("secret")
    page.get_by_label("One-time code").fill(passcode.of(SEED, int(time.time()) // 30))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Hello, careful")).to_be_visible()
