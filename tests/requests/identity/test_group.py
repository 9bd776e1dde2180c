"""Groups: their life, who is in them, and the roles that they bring."""
from __future__ import annotations

from tests.requests.identity.cloud import Client


def test_a_group_lives(admin: Client, demo: Client) -> None:
    made = admin.make("group", name="g", description="d")
    assert made == {"id": made["id"], "name": "g", "description": "d", "domain_id": "default",
                    "links": {"self": f"http://cloud/identity/v3/groups/{made['id']}"}}
    path = f"/v3/groups/{made['id']}"
    assert admin.ask("PATCH", path, {"group": {"name": "h"}}).body["group"]["name"] == "h"
    assert [group["id"] for group in admin.get("/v3/groups?name=h&domain_id=default")["groups"]] == [made["id"]]
    assert admin.ask("POST", "/v3/groups", {"group": {"name": "h"}}).status == 409
    assert demo.ask("GET", "/v3/groups").status == demo.ask("GET", path).status == demo.ask("DELETE", path).status == 403
    assert admin.ask("DELETE", path).status == 204 and admin.ask("GET", path).status == 404


def test_membership(admin: Client, demo: Client) -> None:
    group = f"/v3/groups/{admin.make('group', name='g')['id']}"
    one = f"{group}/users/user-demo"
    assert admin.ask("HEAD", one).status == 404
    assert [admin.ask("PUT", one).status for _ in range(2)] == [204, 204] and admin.ask("HEAD", one).status == 204
    assert [user["id"] for user in admin.get(f"{group}/users")["users"]] == ["user-demo"]
    assert [found["name"] for found in demo.get("/v3/users/user-demo/groups")["groups"]] == ["g"]
    assert admin.ask("PUT", f"{group}/users/none").status == admin.ask("PUT", "/v3/groups/none/users/user-demo").status == 404
    assert demo.ask("PUT", one).status == 403
    assert admin.ask("DELETE", one).status == 204 and admin.ask("DELETE", one).status == 404


def test_a_groups_roles_are_its_users_roles(admin: Client, nobody: Client) -> None:
    group, far = admin.make("group", name="g")["id"], admin.make("project", name="far")["id"]
    scope = {"project": {"id": far}}
    admin.ask("PUT", f"/v3/groups/{group}/users/user-demo")
    assert nobody.sign_in("demo", scope=scope).status == 401
    grant = f"/v3/projects/{far}/groups/{group}/roles/role-member"
    assert admin.ask("PUT", grant).status == 204 and admin.ask("HEAD", grant).status == 204
    assert [role["name"] for role in admin.get(f"/v3/projects/{far}/groups/{group}/roles")["roles"]] == ["member"]
    reply = nobody.sign_in("demo", scope=scope)
    assert [role["name"] for role in reply.body["token"]["roles"]] == ["member", "reader"]
    token = reply.headers["X-Subject-Token"]
    assert [project["name"] for project in Client(nobody.application, token).get("/v3/auth/projects")["projects"]] == ["far", "home"]
    admin.ask("DELETE", f"/v3/groups/{group}/users/user-demo")
    assert not nobody.alive(token) and nobody.sign_in("demo", scope=scope).status == 401


def test_a_group_that_goes_takes_its_roles_along(admin: Client, nobody: Client) -> None:
    group = admin.make("group", name="g")["id"]
    admin.ask("PUT", f"/v3/groups/{group}/users/user-demo")
    admin.ask("PUT", f"/v3/domains/default/groups/{group}/roles/role-reader")
    token = nobody.sign_in("demo", scope={"domain": {"id": "default"}}).headers["X-Subject-Token"]
    assert admin.ask("DELETE", f"/v3/groups/{group}").status == 204
    assert not nobody.alive(token) and admin.get(f"/v3/role_assignments?group.id={group}")["role_assignments"] == []


def test_assignments_as_they_take_effect(admin: Client) -> None:
    group, far = admin.make("group", name="g")["id"], admin.make("project", name="far")["id"]
    admin.ask("PUT", f"/v3/groups/{group}/users/user-demo")
    admin.ask("PUT", f"/v3/projects/{far}/groups/{group}/roles/role-member")
    plain = admin.get(f"/v3/role_assignments?scope.project.id={far}&include_names=1")["role_assignments"]
    assert [(each["group"]["name"], each["role"]["name"], each["scope"]["project"]["domain"]["name"])
            for each in plain] == [("g", "member", "Default")]
    found = admin.get(f"/v3/role_assignments?scope.project.id={far}&effective")["role_assignments"]
    assert {(each["user"]["id"], each["role"]["id"]) for each in found} == {("user-demo", "role-member"), ("user-demo", "role-reader")}
    assert found[0]["links"]["membership"].endswith(f"/v3/groups/{group}/users/user-demo")
    assert admin.get(f"/v3/role_assignments?scope.project.id={far}&user.id=user-demo")["role_assignments"] == []
    assert len(admin.get(f"/v3/role_assignments?scope.project.id={far}&user.id=user-demo&effective=1")["role_assignments"]) == 2
