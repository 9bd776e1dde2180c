"""Users: their life, and what they may do about themselves."""
from __future__ import annotations

from tests.requests.identity.cloud import Client


def test_a_user_lives(admin: Client, nobody: Client) -> None:
    made = admin.make("user", name="u", password="p", email="u@example.org", nick="you")
    assert made == {"id": made["id"], "name": "u", "domain_id": "default", "enabled": True, "email": "u@example.org", "nick": "you",
                    "options": {},
                    "password_expires_at": None, "links": {"self": f"http://cloud/identity/v3/users/{made['id']}"}}
    path = f"/v3/users/{made['id']}"
    assert admin.get(path)["user"] == made and nobody.sign_in("u", "p", None).status == 201
    changed = admin.ask("PATCH", path, {"user": {"name": "v", "description": "d", "password": "q"}}).body["user"]
    assert (changed["name"], changed["description"], changed["email"]) == ("v", "d", "u@example.org")
    assert nobody.sign_in("v", "q", None).status == 201 and nobody.sign_in("v", "p", None).status == 401
    assert admin.ask("DELETE", path).status == 204
    assert admin.ask("GET", path).status == 404 and nobody.sign_in("v", "q", None).status == 401


def test_a_password_is_never_shown_nor_stored(admin: Client) -> None:
    made = admin.make("user", name="u", password="remarkable")
    admin.ask("PATCH", f"/v3/users/{made['id']}", {"user": {"password": "outstanding"}})
    for path in ("/v3/users", f"/v3/users/{made['id']}", "/v3/users?sort_key=name"):
        assert not {"remarkable", "outstanding", "$2b$"} & {word for word in ("remarkable", "outstanding", "$2b$")
                                                            if word in str(admin.get(path))}
    with admin.application.database.read() as db: stored = db.connection().exec_driver_sql("SELECT * FROM identity_users").all()
    assert "remarkable" not in str(stored) and "outstanding" not in str(stored)
    assert admin.ask("GET", "/v3/users?sort_key=password").status == 400 and len(admin.get("/v3/users?password=x")["users"]) == 5


def test_a_user_without_a_password_cannot_sign_in(admin: Client, nobody: Client) -> None:
    made = admin.make("user", name="u")
    for word in ("", "None", "null"): assert nobody.sign_in("u", word, None).status == 401
    admin.ask("PATCH", f"/v3/users/{made['id']}", {"user": {"password": "p"}})
    assert nobody.sign_in("u", "p", None).status == 201
    admin.ask("PATCH", f"/v3/users/{made['id']}", {"user": {"password": None}})
    assert nobody.sign_in("u", "p", None).status == 401


def test_long_passwords_count_to_their_end(admin: Client, nobody: Client) -> None:
    admin.make("user", name="u", password="x" * 100)
    assert nobody.sign_in("u", "x" * 100, None).status == 201 and nobody.sign_in("u", "x" * 99, None).status == 401
    assert admin.ask("POST", "/v3/users", {"user": {"name": "v", "password": "x" * 5000}}).status == 400


def test_names_are_taken_once_in_a_domain(admin: Client) -> None:
    other = admin.make("domain", name="d")
    admin.make("user", name="demo", domain_id=other["id"])
    assert admin.ask("POST", "/v3/users", {"user": {"name": "demo"}}).status == 409
    assert admin.ask("PATCH", "/v3/users/user-admin", {"user": {"name": "demo"}}).status == 409
    for inner in ({}, {"name": ""}, {"name": "x" * 256}, {"name": 5}, {"name": "x", "enabled": "perhaps"}, {"name": "x", "email": 5}):
        assert admin.ask("POST", "/v3/users", {"user": inner}).status == 400, inner
    found = admin.get(f"/v3/users?name=demo&domain_id={other['id']}")["users"]
    assert [user["domain_id"] for user in found] == [other["id"]]


def test_users_see_themselves_only(demo: Client, nobody: Client) -> None:
    assert demo.get("/v3/users/user-demo")["user"]["name"] == "demo" and demo.get("/v3/users/user-demo/groups")["groups"] == []
    for method, path in (("GET", "/v3/users"), ("GET", "/v3/users/user-admin"), ("PATCH", "/v3/users/user-demo"),
                         ("DELETE", "/v3/users/user-demo"),
                         ("GET", "/v3/users/user-admin/groups"), ("POST", "/v3/users")):
        assert demo.ask(method, path, {"user": {"name": "x"}}).status == 403, path
        assert nobody.ask(method, path, {"user": {"name": "x"}}).status == 401, path
