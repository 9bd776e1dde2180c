"""Passcodes, rules of several methods, and receipts from one to the next."""
from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.identity.signature import passcode

SECRET = base64.b32encode(b"12345678901234567890").decode().rstrip("=")


def now_code(back: int = 0) -> str:
    return passcode.of(SECRET, int(clock.now()) // 30 - back)


def by_code(code: str) -> dict[str, Any]:
    return {"methods": ["totp"], "totp": {"user": {"id": "user-demo", "passcode": code}}}


@pytest.fixture
def seeded(admin: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Demo has a TOTP secret. It is the beginning of a step: none ends between a passcode and its use."""
    now = clock.now
    ahead = 31 - now() % 30
    monkeypatch.setattr(clock, "now", lambda: now() + ahead)
    admin.make("credential", type="totp", blob=SECRET, user_id="user-demo")
    return admin


def rule(admin: Client, *rules: list[str], **more: Any) -> None:
    body = {"user": {"options": {"multi_factor_auth_rules": list(rules), **more}}}
    assert admin.ask("PATCH", "/v3/users/user-demo", body).status == 200


def test_a_passcode_signs_in(seeded: Client, nobody: Client) -> None:
    reply = nobody.authenticate(by_code(now_code()), "home")
    assert reply.status == 201 and reply.body["token"]["methods"] == ["totp"]
    assert nobody.authenticate(by_code(now_code(1)), "home").status == 201
    for wrong in ("000000", now_code(-2), now_code(2), ""): assert nobody.authenticate(by_code(wrong), "home").status == 401, wrong
    nameless = {"methods": ["totp"], "totp": {"user": {"id": "user-watcher", "passcode": now_code()}}}
    assert nobody.authenticate(nameless).status == 401


def test_both_at_once(seeded: Client, nobody: Client) -> None:
    rule(seeded, ["password", "totp"])
    both = {"methods": ["password", "totp"], "password": {"user": {"id": "user-demo", "password": "demo!"}}, **{
        k: v for k, v in by_code(now_code()).items() if k == "totp"}}
    reply = nobody.authenticate(both, "home")
    assert reply.status == 201 and set(reply.body["token"]["methods"]) == {"password", "totp"}


def test_one_after_the_other_with_a_receipt(seeded: Client, nobody: Client) -> None:
    rule(seeded, ["password", "totp"], ["password", "unheard-of"])
    reply = nobody.sign_in("demo")
    assert reply.status == 401 and reply.body["required_auth_methods"] == [["password", "totp"]]
    assert reply.body["receipt"]["methods"] == ["password"] and reply.body["receipt"]["user"]["id"] == "user-demo"
    receipt = reply.headers["Openstack-Auth-Receipt"]
    body = {"auth": {"identity": by_code(now_code()), "scope": {"project": {"id": "home"}}}}
    assert nobody.ask("POST", "/v3/auth/tokens", body).status == 401
    done = nobody.ask("POST", "/v3/auth/tokens", body, openstack_auth_receipt=receipt)
    assert done.status == 201 and set(done.body["token"]["methods"]) == {"password", "totp"}
    assert nobody.ask("POST", "/v3/auth/tokens", body, openstack_auth_receipt=receipt[:-4] + "AAAA").status == 401
    other = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "user-watcher", "password": "watcher!"}}}}}
    assert nobody.ask("POST", "/v3/auth/tokens", other, openstack_auth_receipt=receipt).status == 401
    assert nobody.alive(receipt) is False


def test_a_token_carries_its_methods_on(seeded: Client, nobody: Client) -> None:
    token = nobody.sign_in("demo").headers["X-Subject-Token"]
    rule(seeded, ["password", "totp"])
    assert nobody.rescope(token, "home").status == 401
    rule(seeded, ["password", "totp"], ["password"])
    assert nobody.rescope(token, "home").status == 201


def test_rules_can_be_switched_off(seeded: Client, nobody: Client) -> None:
    rule(seeded, ["password", "totp"], multi_factor_auth_enabled=False)
    assert nobody.sign_in("demo").status == 201


def test_an_application_credential_is_beside_the_rules(seeded: Client, demo: Client, nobody: Client) -> None:
    made = demo.ask("POST", "/v3/users/user-demo/application_credentials", {"application_credential": {"name": "r"}}).body
    rule(seeded, ["password", "totp"])
    given = {"id": made["application_credential"]["id"], "secret": made["application_credential"]["secret"]}
    assert nobody.authenticate({"methods": ["application_credential"], "application_credential": given}).status == 201
