"""Application credentials: what they are good for, and what ends them."""
from __future__ import annotations

from typing import Any

from tests.requests.identity.cloud import Client

from pilvi.core import clock

PATH = "/v3/users/user-demo/application_credentials"


def make(client: Client, **values: Any) -> dict[str, Any]:
    reply = client.ask("POST", PATH, {"application_credential": {"name": "robot"} | values})
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.body["application_credential"]
    return made


def use(client: Client, made: dict[str, Any], **more: Any) -> Any:
    given = {"id": made["id"], "secret": made["secret"]} | more
    return client.authenticate({"methods": ["application_credential"], "application_credential": given}, None)


def token_of(client: Client, made: dict[str, Any]) -> Client:
    reply = use(client, made)
    assert reply.status == 201, reply.body
    return Client(client.application, reply.headers["X-Subject-Token"])


def test_it_signs_in_to_its_project_with_the_roles_of_its_maker(demo: Client, nobody: Client) -> None:
    made = make(demo, description="d")
    assert made["project_id"] == "home" and made["unrestricted"] is False and {r["name"] for r in made["roles"]} == {"member", "reader"}
    reply = use(nobody, made)
    token = reply.body["token"]
    assert token["project"]["id"] == "home" and token["methods"] == ["application_credential"] and token["user"]["id"] == "user-demo"
    assert token["application_credential"] == {"id": made["id"], "name": "robot", "restricted": True}
    by_name = {"name": "robot", "user": {"name": "demo", "domain": {"id": "default"}}, "secret": made["secret"]}
    assert nobody.authenticate({"methods": ["application_credential"], "application_credential": by_name}).status == 201
    shown = demo.get(f"{PATH}/{made['id']}")["application_credential"]
    assert "secret" not in shown and shown["links"]["self"].endswith(made["id"])
    assert [each["id"] for each in demo.get(PATH + "?name=robot")["application_credentials"]] == [made["id"]]


def test_wrong_secrets_and_scopes_are_refused(demo: Client, nobody: Client) -> None:
    made = make(demo, secret="mine", roles=[{"name": "reader"}])
    assert made["secret"] == "mine" and [role["name"] for role in made["roles"]] == ["reader"]
    assert use(nobody, made, secret="wrong").status == use(nobody, made, id="absent").status == 401
    other = {"methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": "mine"}}
    assert nobody.authenticate(other, {"project": {"id": "elsewhere"}}).status == 401
    assert use(nobody, make(demo, name="late", expires_at=clock.iso(clock.now() + 3600))).status == 201
    for bad in ({"expires_at": "2001-01-01T00:00:00"}, {"expires_at": "soon"}, {"roles": [{"name": "admin"}]}, {"name": ""}):
        assert demo.ask("POST", PATH, {"application_credential": {"name": "b"} | bad}).status == 400, bad
    assert demo.ask("POST", PATH, {"application_credential": {"name": "robot"}}).status == 409


def test_a_restricted_one_makes_no_others(demo: Client, nobody: Client) -> None:
    robot, free = token_of(nobody, made := make(demo)), token_of(nobody, make(demo, name="free", unrestricted=True))
    assert robot.ask("POST", PATH, {"application_credential": {"name": "child"}}).status == 403
    assert robot.ask("DELETE", f"{PATH}/{made['id']}").status == 403
    assert free.ask("POST", PATH, {"application_credential": {"name": "child"}}).status == 201
    assert free.ask("GET", "/v3/OS-TRUST/trusts?trustor_user_id=user-demo").status == 403
    assert nobody.rescope(robot.token, "home").status == 403


def test_it_ends_with_its_roles_its_deletion_and_its_user(admin: Client, demo: Client, nobody: Client) -> None:
    made = make(demo)
    robot = token_of(nobody, made)
    assert admin.ask("PUT", "/v3/projects/home/users/user-demo/roles/role-reader").status == 204
    assert admin.ask("DELETE", "/v3/projects/home/users/user-demo/roles/role-member").status == 204
    assert not nobody.alive(robot.token) and use(nobody, made).status == 401
    assert admin.ask("PUT", "/v3/projects/home/users/user-demo/roles/role-member").status == 204
    assert nobody.alive(robot.token)
    assert demo.ask("DELETE", f"{PATH}/{made['id']}").status == 204 and not nobody.alive(robot.token)
    again = make(demo)
    assert admin.ask("DELETE", "/v3/users/user-demo").status == 204 and use(nobody, again).status == 401


def test_access_rules_bind_it(demo: Client, nobody: Client) -> None:
    rules = [{"service": "identity", "method": "GET", "path": "/v3/users/*"}, {"service": "compute", "method": "GET", "path": "/v2.1/**"}]
    made = make(demo, access_rules=rules)
    robot = token_of(nobody, made)
    assert robot.ask("GET", "/v3/users/user-demo").status == 200 and robot.ask("GET", "/v3/users/user-demo/projects").status == 401
    assert robot.ask("GET", "/v3/auth/projects").status == 401
    shown = nobody.ask("GET", "/v3/auth/tokens", x_auth_token=robot.token,
                       x_subject_token=robot.token).body["token"]
    assert {rule["path"] for rule in shown["application_credential"]["access_rules"]} == {"/v3/users/*", "/v2.1/**"}
    for method, path in (("GET", "/v3/auth/projects"), ("POST", PATH), ("DELETE", "/v3/auth/tokens"), ("GET", "/v3/users/../auth/projects"),
                         ("GET", "/v3/users/%2e%2e/projects"), ("GET", "//v3/users/user-demo"), ("GET", "/v3/users/user-demo/")):
        reply = robot.ask(method, path, {} if method == "POST" else None, x_subject_token=robot.token)
        assert reply.status == 401, "to name a token to ask about opens nothing else, nor does another spelling of a path"


def test_access_rules_are_shared_and_outlive_it(admin: Client, demo: Client) -> None:
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
    one, two = make(demo, access_rules=[rule]), make(demo, name="two", access_rules=[rule])
    assert one["access_rules"] == two["access_rules"]
    id = one["access_rules"][0]["id"]
    path = f"/v3/users/user-demo/access_rules/{id}"
    assert demo.get(path)["access_rule"]["path"] == "/v2.1/servers" and demo.ask("DELETE", path).status == 403
    for made in (one, two): assert demo.ask("DELETE", f"{PATH}/{made['id']}").status == 204
    assert make(demo, name="three", access_rules=[{"id": id}])["access_rules"][0]["id"] == id
    assert demo.ask("POST", PATH, {"application_credential": {"name": "x", "access_rules": [{"id": "absent"}]}}).status == 404
    assert demo.ask("POST", PATH, {"application_credential": {"name": "x", "access_rules": [{"path": "/"}]}}).status == 400
    assert admin.ask("GET", path).status == 403  # upstream: the system's, and the user's own
