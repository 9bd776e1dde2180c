"""The rules for passwords, each as it holds and as it does not."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.core.crypto import check_password, hash_password
from pilvi.identity.resources.user import User

DAY = 86_400.0


def rules(client: Client, **options: Any) -> None:
    client.application.config = msgspec.structs.replace(client.application.config, **options)


def change(client: Client, old: str, new: str, user: str = "demo") -> int:
    body = {"user": {"original_password": old, "password": new}}
    return client.ask("POST", f"/v3/users/user-{user}/password", body).status


def set_columns(client: Client, user: str = "demo", **values: Any) -> None:
    with client.application.database.write() as db: db.execute(update(User).where(User.id == f"user-{user}").values(**values))


def options(admin: Client, **values: Any) -> Any:
    reply = admin.ask("PATCH", "/v3/users/user-demo", {"user": {"options": values}})
    assert reply.status == 200, reply.body
    return reply.body["user"]["options"]


def test_too_many_wrong_passwords_lock_a_user_for_a_while(nobody: Client) -> None:
    rules(nobody, lockout_attempts=2, lockout_seconds=60)
    assert nobody.sign_in("demo", "wrong").status == 401 and nobody.sign_in("demo").status == 201  # one is forgiven, and forgotten
    for _ in range(2): assert nobody.sign_in("demo", "wrong").status == 401
    assert nobody.sign_in("demo").status == 401 == change(nobody, "demo!", "x")
    assert nobody.sign_in("watcher").status == 201
    set_columns(nobody, failed_at=clock.now() - 61)
    assert nobody.sign_in("demo").status == 201


def test_no_lock_without_the_rule_or_with_the_option(admin: Client, nobody: Client) -> None:
    for _ in range(5): assert nobody.sign_in("demo", "wrong").status == 401
    assert nobody.sign_in("demo").status == 201
    rules(nobody, lockout_attempts=2)
    assert options(admin, ignore_lockout_failure_attempts=True) == {"ignore_lockout_failure_attempts": True}
    for _ in range(3): assert nobody.sign_in("demo", "wrong").status == 401
    assert nobody.sign_in("demo").status == 201
    assert options(admin, ignore_lockout_failure_attempts=None) == {}
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"options": {"other": True}}}).status == 400


def test_an_administrator_unlocks(admin: Client, nobody: Client) -> None:
    rules(nobody, lockout_attempts=1)
    assert nobody.sign_in("demo", "wrong").status == 401 == nobody.sign_in("demo").status
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"enabled": True}}).status == 200 and nobody.sign_in("demo").status == 201


def test_a_password_expires(admin: Client, nobody: Client) -> None:
    rules(nobody, password_expires_days=10)
    assert change(nobody, "demo!", "second") == 204
    token = nobody.sign_in("demo", "second").body["token"]
    assert clock.parse(token["user"]["password_expires_at"]) == pytest.approx(clock.now() + 10 * DAY, abs=60)
    set_columns(nobody, password_expires_at=clock.now() - 1)
    assert "expired" in nobody.sign_in("demo", "second").body["error"]["message"]
    assert "expired" not in nobody.sign_in("demo", "wrong").body["error"]["message"]
    options(admin, ignore_password_expiry=True)
    assert nobody.sign_in("demo", "second").status == 201
    options(admin, ignore_password_expiry=None)
    assert change(nobody, "second", "third") == 204 and nobody.sign_in("demo", "third").status == 201


def test_earlier_passwords_may_not_come_back(admin: Client, nobody: Client) -> None:
    rules(nobody, remembered_passwords=2)
    assert change(nobody, "demo!", "demo!") == 400 and change(nobody, "demo!", "b") == 204
    assert change(nobody, "b", "demo!") == 400 and change(nobody, "b", "c") == 204
    assert change(nobody, "c", "demo!") == 204  # two are remembered, the present one included
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"password": "demo!"}}).status == 200  # an administrator may


def test_a_password_has_a_least_age(nobody: Client) -> None:
    rules(nobody, password_minimum_days=1)
    assert change(nobody, "demo!", "b") == 400
    set_columns(nobody, password_created_at=clock.now() - DAY - 1)
    assert change(nobody, "demo!", "b") == 204 and change(nobody, "b", "c") == 400


def test_a_password_matches_the_rule(admin: Client, nobody: Client) -> None:
    rules(nobody, password_regex=r"^(?=.*\d).{7,}$", password_regex_description="seven characters and a digit")
    reply = nobody.ask("POST", "/v3/users/user-demo/password", {"user": {"original_password": "demo!", "password": "short"}})
    assert reply.status == 400 and "seven characters" in reply.body["error"]["message"]
    assert admin.ask("POST", "/v3/users", {"user": {"name": "new", "password": "short"}}).status == 400
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"password": "short"}}).status == 400
    assert change(nobody, "demo!", "longenough1") == 204 and nobody.sign_in("demo", "longenough1").status == 201
    shown = admin.get("/v3/domains/default/config/security_compliance/password_regex_description")
    assert shown["config"] == {"password_regex_description": "seven characters and a digit"}


def test_what_an_administrator_sets_is_changed_at_first_use(admin: Client, nobody: Client) -> None:
    rules(nobody, change_at_first_use=True, password_minimum_days=1)
    made = admin.make("user", name="new", password="first")
    assert nobody.sign_in("new", "first", None).status == 401
    body = {"user": {"original_password": "first", "password": "own"}}
    assert nobody.ask("POST", f"/v3/users/{made['id']}/password", body).status == 204 and nobody.sign_in("new", "own", None).status == 201
    admin.make("user", name="robot", password="r", options={"ignore_change_password_upon_first_use": True})
    assert nobody.sign_in("robot", "r", None).status == 201


def test_who_stays_away_is_switched_off(admin: Client, nobody: Client) -> None:
    rules(nobody, idle_days=30)
    set_columns(nobody, last_active_at=clock.now() - 29 * DAY)
    assert nobody.sign_in("demo").status == 201
    set_columns(nobody, last_active_at=clock.now() - 31 * DAY)
    assert nobody.sign_in("demo").status == 401
    options(admin, ignore_user_inactivity=True)
    assert nobody.sign_in("demo").status == 201


def test_a_locked_password_stays(admin: Client, nobody: Client) -> None:
    options(admin, lock_password=True)
    assert change(nobody, "demo!", "b") == 400 and nobody.sign_in("demo").status == 201
    options(admin, lock_password=False)
    assert change(nobody, "demo!", "b") == 204


def test_a_hash_follows_the_configured_cost(nobody: Client) -> None:
    set_columns(nobody, password=hash_password("demo!", 6))
    rules(nobody, password_rounds=5)
    assert nobody.sign_in("demo").status == 201
    with nobody.application.database.read() as db: stored = db.get(User, "user-demo").password  # type: ignore[union-attr]
    assert stored is not None and stored.split("$")[2] == "05" and check_password("demo!", stored)
