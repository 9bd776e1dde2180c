"""Who guesses learns nothing: not from messages, not from the time that an answer takes, and what is sent stays out of the log."""
from __future__ import annotations

import json
import random
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError
from tests.requests.identity.cloud import Client

from pilvi.core.crypto import check_password
from pilvi.identity.resources.role import Role
from pilvi.identity.token import passwords

HUSH = "hush-7f3a"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The costs of the hashes that passwords are compared with: nearly all of an answer's time."""
    seen: list[str] = []

    def check(password: str, hashed: str) -> bool:
        seen.append(hashed[:7])
        return check_password(password, hashed)

    monkeypatch.setattr(passwords, "check_password", check)
    return seen


def test_a_wrong_user_costs_what_a_wrong_password_costs(admin: Client, nobody: Client, checks: list[str]) -> None:
    admin.make("user", name="off", password="off!", enabled=False)
    admin.make("user", name="federated")
    off = {"name": "off", "domain": {"id": "default"}}
    guesses: list[dict[str, Any]] = [
        {"id": "user-demo"}, {"name": "demo", "domain": {"id": "default"}}, off, {"name": "federated", "domain": {"id": "default"}},
        {"id": "nobody"}, {"name": "nobody", "domain": {"id": "default"}}, {"name": "demo", "domain": {"id": "none"}},
        {"name": "demo", "domain": {"name": "none"}}]
    replies, costs = [], []
    for who in guesses:
        checks.clear()
        replies.append(nobody.authenticate({"methods": ["password"], "password": {"user": {**who, "password": HUSH}}}))
        costs.append(tuple(checks))
    assert set(costs) == {("$2b$04$",)}, costs
    assert {reply.status for reply in replies} == {401} and len({json.dumps(reply.body) for reply in replies}) == 1
    checks.clear()
    assert nobody.authenticate({"methods": ["password"], "password": {"user": {**off, "password": "off!"}}}).body == replies[0].body
    assert checks == ["$2b$04$"]


def test_a_wrong_credential_costs_what_a_wrong_secret_costs(admin: Client, demo: Client, nobody: Client, checks: list[str]) -> None:
    made = demo.ask("POST", "/v3/users/user-demo/application_credentials", {"application_credential": {"name": "robot"}}).body
    id, owner = made["application_credential"]["id"], {"id": "user-demo"}
    for asked in ({"id": id}, {"id": "none"}, {"name": "robot", "user": owner}, {"name": "none", "user": owner},
                  {"name": "robot", "user": {"id": "nobody"}}):
        checks.clear()
        reply = nobody.authenticate({"methods": ["application_credential"], "application_credential": {**asked, "secret": HUSH}})
        assert reply.status == 401 and checks == ["$2b$04$"], asked


def test_nobodys_password_fits_the_decoy() -> None:
    for word in ("", "nobody", passwords.NOBODYS): assert not check_password(word, passwords.decoy(4))


def odd(chance: random.Random, value: Any) -> Any:
    """The value with something in it replaced, added or taken away."""
    if not isinstance(value, dict) or not value or chance.random() < 0.2:
        return chance.choice([value, None, 7, [value], {"x": value}, f"{HUSH}\ud800", HUSH * 300, [[[value]]]])
    key = chance.choice(list(value))
    return chance.choice([{**value, key: odd(chance, value[key])}] * 4 + [{k: v for k, v in value.items() if k != key}])


def test_nothing_secret_is_logged_whatever_is_sent(admin: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20)
    login = {"auth": {"identity": {"methods": ["password", "token", "totp"], "token": {"id": HUSH}, "totp": {
        "user": {"id": "user-demo", "passcode": HUSH}}, "password": {"user": {"id": "user-demo", "password": HUSH}}}}}
    user = {"user": {"name": "new", "password": HUSH, "options": {"lock_password": True}}}
    credential = {"credential": {"type": "totp", "blob": HUSH, "user_id": "user-demo"}}
    with structlog.testing.capture_logs() as events:
        for _ in range(250):
            path, body, who = chance.choice([("/v3/auth/tokens", login, nobody), ("/v3/users", user, admin),
                                             ("/v3/users/user-watcher", user, admin), ("/v3/credentials", credential, admin)])
            reply = who.ask("PATCH" if "watcher" in path else "POST", path, odd(chance, body), x_subject_token=HUSH)
            assert reply.status < 500, reply.body
        monkeypatch.setattr(passwords, "hashed", lambda app, password, slow=True: 1 / 0)
        assert admin.ask("POST", "/v3/users", user).status == 500
    assert [event["event"] for event in events] == ["request failed"]
    assert HUSH not in repr([{**event, "exc_info": None} for event in events])
    audit = json.dumps(admin.get("/v3/pilvi-audit")["records"])
    assert HUSH not in audit


def test_the_databases_errors_do_not_tell_values(admin: Client) -> None:
    database = admin.application.database
    with pytest.raises(IntegrityError) as failure, database.write() as db: db.add(Role(id="role-admin", name=HUSH))
    assert HUSH not in str(failure.value)


def test_names_in_any_script_and_what_is_no_name(admin: Client, nobody: Client) -> None:
    for name in ("é", "e\u0301", "\U0001f600", "\u202egnp", "名前", "ß" * 255, "a\tb", "'; DROP TABLE identity_users; --"):
        made = admin.make("user", name=name, password=name)
        assert made["name"] == name and admin.get(f"/v3/users/{made['id']}")["user"]["name"] == name
        who = {"name": name, "domain": {"id": "default"}, "password": name}
        assert nobody.authenticate({"methods": ["password"], "password": {"user": who}}, "unscoped").status == 201
        assert admin.ask("POST", "/v3/users", {"user": {"name": name}}).status == 409
    for wrong in ("", "a" * 256, "a\0b", "\ud800", 7, None, ["a"], {"a": "b"}):
        assert admin.ask("POST", "/v3/users", {"user": {"name": wrong}}).status == 400, wrong


def test_tokens_that_are_none(admin: Client, nobody: Client) -> None:
    for token in ("x", "x" * 60_000, "gAAAAA", "gAAAAA" + "é" * 100, "é" * 4000, "\ud800", "a b", "null", "-1"):
        assert Client(nobody.application, token).ask("GET", "/v3/users").status == 401, token
        assert [admin.ask(method, "/v3/auth/tokens", x_subject_token=token).status for method in ("GET", "HEAD", "DELETE")] == [404] * 3


def test_a_body_nested_too_deeply(admin: Client) -> None:
    deep: Any = "x"
    for _ in range(100): deep = {"a": [deep]}
    assert admin.ask("POST", "/v3/users", {"user": {"name": "deep", "extra": deep}}).status == 400
