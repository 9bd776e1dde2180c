"""Tokens: how they are had, what they tell, and when they end."""
from __future__ import annotations

import time
from typing import Any

import pytest
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.core.http import auth
from pilvi.core.http.app import Application
from pilvi.identity.token.keys import Keyring


def token_of(reply: Any) -> str:
    assert reply.status == 201, reply.body
    return str(reply.headers["X-Subject-Token"])


def test_a_token_tells_who_where_and_what(nobody: Client) -> None:
    reply = nobody.sign_in("demo")
    told = reply.body["token"]
    assert told["user"] == {"id": "user-demo", "name": "demo", "domain": {"id": "default", "name": "Default"}, "password_expires_at": None}
    assert told["project"] == {"id": "home", "name": "home", "domain": {"id": "default", "name": "Default"}} and told["is_domain"] is False
    assert [role["name"] for role in told["roles"]] == ["member", "reader"]
    assert told["methods"] == ["password"] and len(told["audit_ids"]) == 1 and told["catalog"] == []
    assert told["issued_at"].endswith("Z") and clock.parse(told["expires_at"]) - clock.parse(told["issued_at"]) == pytest.approx(3600,
                                                                                                                                 abs=1)
    again = Client(nobody.application, token_of(reply)).validated(token_of(reply))
    assert again.status == 200 and again.body["token"] == told and again.headers["X-Subject-Token"] == token_of(reply)


def test_a_user_is_named_by_id_or_by_name_and_domain(nobody: Client) -> None:
    for who in ({"id": "user-demo"}, {"name": "demo", "domain": {"id": "default"}}, {"name": "demo", "domain": {"name": "Default"}}):
        assert nobody.authenticate({"methods": ["password"], "password": {"user": {**who, "password": "demo!"}}}).status == 201
    for who in ({"name": "demo"}, {"name": "demo", "domain": {"id": "other"}}, {"name": "demo", "domain": {"name": "Other"}},
                {"id": "demo"}):
        assert nobody.authenticate({"methods": ["password"], "password": {"user": {**who, "password": "demo!"}}}).status == 401


def test_a_project_is_named_by_id_or_by_name_and_domain(nobody: Client) -> None:
    for scope in ({"id": "home"}, {"name": "home", "domain": {"id": "default"}}, {"name": "home", "domain": {"name": "Default"}}):
        assert nobody.sign_in("demo", scope={"project": scope}).body["token"]["project"]["id"] == "home"
    for scope in ({"id": "none"}, {"name": "none", "domain": {"id": "default"}}, {"name": "home", "domain": {"name": "Other"}},
                  {"name": "home"}, {}):
        assert nobody.sign_in("demo", scope={"project": scope}).status == 401


def test_scopes(nobody: Client, admin: Client) -> None:
    assert admin.ask("PUT", "/v3/domains/default/users/user-admin/roles/role-admin").status == 204
    told = nobody.sign_in("admin", scope={"domain": {"id": "default"}}).body["token"]
    assert told["domain"] == {"id": "default", "name": "Default"} and "project" not in told
    assert nobody.sign_in("admin", scope={"domain": {"name": "Default"}}).status == 201
    assert nobody.sign_in("admin", scope={"system": {"all": True}}).body["token"]["system"] == {"all": True}
    for unscoped in (None, "unscoped", {"unscoped": {}}):
        told = nobody.sign_in("admin", scope=unscoped).body["token"]
        assert not {"project", "domain", "system", "roles", "catalog"} & set(told)
    for scope in ({"domain": {"id": "default"}}, {"system": {"all": True}}):
        assert nobody.sign_in("demo", scope=scope).status == 401
    for scope in ({"system": {}}, {"trust": {"id": "x"}}, {}, [], {"project": {"id": "home"}, "system": {"all": True}}):
        assert nobody.sign_in("admin", scope=scope).status == 400, scope


def test_without_a_wish_the_default_project_is_meant(nobody: Client, admin: Client) -> None:
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"default_project_id": "home"}}).status == 200
    assert nobody.sign_in("demo", scope=None).body["token"]["project"]["id"] == "home"
    assert "project" not in nobody.sign_in("demo", scope="unscoped").body["token"]
    for project in ("none", admin.make("project", name="far")["id"]):
        admin.ask("PATCH", "/v3/users/user-demo", {"user": {"default_project_id": project}})
        assert "project" not in nobody.sign_in("demo", scope=None).body["token"]


def test_another_scope_for_a_token_keeps_its_end(nobody: Client) -> None:
    first = nobody.sign_in("demo", scope="unscoped")
    time.sleep(0.01)
    second = nobody.rescope(token_of(first), {"project": {"id": "home"}})
    told = second.body["token"]
    assert told["expires_at"] == first.body["token"]["expires_at"] and told["issued_at"] > first.body["token"]["issued_at"]
    assert told["methods"] == ["password", "token"] and told["audit_ids"][1:] == first.body["token"]["audit_ids"]
    third = nobody.rescope(token_of(second)).body["token"]
    assert third["audit_ids"][1:] == first.body["token"]["audit_ids"] and "project" not in third


def test_garbage_is_no_token(nobody: Client, admin: Client) -> None:
    good = admin.token
    for bad in ("x", "gAAAA", good[:-1], good + "x", good[:20] + ("A" if good[20] != "A" else "B") + good[21:], "é", "x" * 5000, "\ud800"):
        assert not nobody.alive(bad)
        assert admin.validated(bad).status == 404
        if len(bad) <= 4096 and bad.isascii(): assert nobody.rescope(bad).status == 404
    assert admin.ask("GET", "/v3/auth/tokens").status == 404


def test_an_expired_token_ends(nobody: Client, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(nobody.sign_in("demo"))
    later = clock.now() + 3601
    monkeypatch.setattr(clock, "now", lambda: later)
    assert not nobody.alive(token) and nobody.rescope(token).status == 404
    fresh = Client(nobody.application, token_of(nobody.sign_in("admin")))
    assert fresh.validated(token).status == 404


def test_a_revoked_token_ends_with_what_was_made_from_it_and_no_other(nobody: Client, admin: Client, demo: Client) -> None:
    other = token_of(nobody.sign_in("demo"))
    child = token_of(nobody.rescope(demo.token, {"project": {"id": "home"}}))
    assert demo.alive(demo.token) and demo.ask("HEAD", "/v3/auth/tokens", x_subject_token=demo.token).status == 200
    assert demo.ask("DELETE", "/v3/auth/tokens", x_subject_token=demo.token).status == 204
    assert not nobody.alive(demo.token) and nobody.rescope(demo.token).status == 404
    assert nobody.alive(other) and not nobody.alive(child)
    events = admin.get("/v3/OS-REVOKE/events")["events"]
    assert len(events) == 1 and admin.get("/v3/OS-REVOKE/events?since=2999-01-01T00:00:00Z")["events"] == []
    assert nobody.ask("GET", "/v3/OS-REVOKE/events").status == 401


def test_the_end_of_a_child_spares_its_parent(nobody: Client, demo: Client) -> None:
    child = token_of(nobody.rescope(demo.token, {"project": {"id": "home"}}))
    assert demo.ask("DELETE", "/v3/auth/tokens", x_subject_token=child).status == 204
    assert nobody.alive(demo.token) and not nobody.alive(child)


def test_revocation_takes_effect_with_the_commit_and_in_other_processes(identity: Application) -> None:
    told: list[int] = []
    auth.TELLERS["test"] = lambda: told.append(auth.EPOCH[0])
    try:
        before = auth.EPOCH[0]
        with identity.database.write() as db:
            auth.forget()
            assert auth.EPOCH[0] == before and db is not None
        assert auth.EPOCH[0] == before + 1 and told == [before + 1]
        with identity.database.write(): pass
        auth.forget()
        assert told == [before + 1, before + 2]
    finally:
        del auth.TELLERS["test"]


def test_who_may_look_at_whose_token(nobody: Client, admin: Client, demo: Client, watcher: Client) -> None:
    agent = Client(nobody.application, token_of(nobody.sign_in("agent")))
    assert [each.validated(demo.token).status for each in (demo, admin, agent, watcher, nobody)] == [200, 200, 200, 403, 401]
    assert watcher.ask("DELETE", "/v3/auth/tokens", x_subject_token=demo.token).status == 403
    assert nobody.alive(demo.token)
    assert "catalog" not in admin.ask("GET", "/v3/auth/tokens?nocatalog", x_subject_token=demo.token).body["token"]


def test_a_disabled_user_or_project_ends_tokens(nobody: Client, admin: Client, demo: Client) -> None:
    admin.ask("PATCH", "/v3/users/user-demo", {"user": {"enabled": False}})
    assert not nobody.alive(demo.token) and nobody.sign_in("demo").status == 401
    admin.ask("PATCH", "/v3/users/user-demo", {"user": {"enabled": True}})
    assert not nobody.alive(demo.token), "what has ended stays so"
    token = token_of(nobody.sign_in("demo"))
    system = Client(nobody.application, token_of(nobody.sign_in("admin", scope={"system": {"all": True}})))
    assert system.ask("PATCH", "/v3/projects/home", {"project": {"enabled": False}}).status == 200
    assert not nobody.alive(token) and nobody.sign_in("demo").status == 401 and nobody.sign_in("demo", scope=None).status == 201


def test_a_disabled_domain_ends_tokens(nobody: Client, admin: Client) -> None:
    domain = admin.make("domain", name="d")
    user = admin.make("user", name="u", domain_id=domain["id"], password="p")
    project = admin.make("project", name="p", domain_id=domain["id"])
    admin.ask("PUT", f"/v3/projects/{project['id']}/users/{user['id']}/roles/role-member")
    admin.ask("PUT", f"/v3/projects/{project['id']}/users/user-demo/roles/role-member")
    login = {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "p"}}}
    token = token_of(nobody.authenticate(login, {"project": {"id": project["id"]}}))
    visitor = token_of(nobody.sign_in("demo", scope={"project": {"id": project["id"]}}))
    assert admin.ask("PATCH", f"/v3/domains/{domain['id']}", {"domain": {"enabled": False}}).status == 200
    assert not nobody.alive(token) and not nobody.alive(visitor) and nobody.authenticate(login).status == 401
    assert admin.ask("DELETE", f"/v3/domains/{domain['id']}").status == 204
    assert admin.ask("GET", f"/v3/users/{user['id']}").status == admin.ask("GET", f"/v3/projects/{project['id']}").status == 404
    assert [each for each in admin.get("/v3/role_assignments")["role_assignments"] if project["id"] in str(each)] == []


def test_a_new_password_ends_old_tokens(nobody: Client, admin: Client, demo: Client) -> None:
    change = {"user": {"original_password": "demo!", "password": "new"}}
    assert nobody.ask("POST", "/v3/users/user-demo/password", {"user": {"original_password": "wrong", "password": "new"}}).status == 401
    assert nobody.ask("POST", "/v3/users/nobody/password", change).status == 401
    assert nobody.alive(demo.token)
    assert demo.ask("POST", "/v3/users/user-demo/password", change).status == 204
    assert not nobody.alive(demo.token) and nobody.sign_in("demo").status == 401
    token = token_of(nobody.sign_in("demo", "new"))
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"password": "newer"}}).status == 200
    assert not nobody.alive(token) and nobody.sign_in("demo", "new").status == 401 and nobody.sign_in("demo", "newer").status == 201


def test_a_lost_role_ends_the_token(nobody: Client, admin: Client, demo: Client) -> None:
    assert admin.ask("DELETE", "/v3/projects/home/users/user-demo/roles/role-member").status == 204
    assert not nobody.alive(demo.token) and admin.validated(demo.token).status == 404
    assert nobody.sign_in("demo").status == 401


def test_new_keys_refuse_no_token(nobody: Client, admin: Client) -> None:
    """Another process rotates the keys; this one's are some seconds old."""
    mine: Keyring = nobody.application.state["keyring"]
    other = Keyring(mine.database, nobody.application.state["master_key"], rotation_seconds=1e9, token_seconds=3600)
    other.prepare()
    tokens = [admin.token]
    for _ in range(3):
        other.rotate()
        nobody.application.state["keyring"] = other
        tokens.append(token_of(nobody.sign_in("admin")))
        nobody.application.state["keyring"] = mine
        assert all(nobody.alive(token) for token in tokens), "the new primary was known here as the staged one"
        mine.read_at = -1e9


def test_a_refusal_does_not_tell_why(nobody: Client, admin: Client) -> None:
    admin.make("user", name="off", password="off!", enabled=False)
    refused = [nobody.sign_in("demo", "wrong"), nobody.sign_in("nobody", "x"), nobody.sign_in("off"), nobody.sign_in("demo", "")]
    assert [reply.status for reply in refused] == [401] * 4
    assert len({str(reply.body) for reply in refused}) == 1
    scopes = [nobody.sign_in("demo", scope={"project": wish}) for wish in (
        {"id": "none"}, {"id": admin.make("project", name="far")["id"]}, {"name": "none", "domain": {"id": "default"}},
        {"name": "x", "domain": {"name": "y"}})]
    assert {reply.status for reply in scopes} == {401} and len({str(reply.body) for reply in scopes}) == 1


def test_bodies_that_are_no_login(nobody: Client) -> None:
    for body in (None, {}, {"auth": {}}, {"auth": {"identity": {}}}, {"auth": {"identity": {"methods": []}}},
                 {"auth": {"identity": {"methods": ["password"]}}},
                 {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo"}}}}},
                 {"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}},
                 {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}}},
                 {"auth": {"identity": {"methods": ["token"], "token": {}}}}, {"auth": []}):
        assert nobody.ask("POST", "/v3/auth/tokens", body).status == 400, body
    assert nobody.authenticate({"methods": ["external"]}).status == 401
    both = {"methods": ["password", "token"], "password": {"user": {"id": "user-demo", "password": "demo!"}},
            "token": {"id": token_of(nobody.sign_in("watcher"))}}
    assert nobody.authenticate(both).status == 401, "two different users"


def test_where_a_user_may_go(nobody: Client, admin: Client, demo: Client) -> None:
    off = admin.make("project", name="off", enabled=False)
    admin.ask("PUT", f"/v3/projects/{off['id']}/users/user-demo/roles/role-member")
    unscoped = Client(nobody.application, token_of(nobody.sign_in("demo", scope="unscoped")))
    assert [project["id"] for project in unscoped.get("/v3/auth/projects")["projects"]] == ["home"]
    assert unscoped.get("/v3/auth/domains")["domains"] == [] and unscoped.get("/v3/auth/system")["system"] == []
    assert admin.get("/v3/auth/system")["system"] == [{"all": True}]
    assert unscoped.ask("GET", "/v3/auth/catalog").status == 403 and demo.get("/v3/auth/catalog")["catalog"] == []
