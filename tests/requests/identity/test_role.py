"""Roles, who has them, and which one brings which."""
from __future__ import annotations

import pytest
from tests.requests.identity.cloud import Client

PLACES = ["/v3/projects/home", "/v3/domains/default", "/v3/system"]


def test_a_role_lives(admin: Client, demo: Client) -> None:
    made = admin.make("role", name="r")
    path = f"/v3/roles/{made['id']}"
    assert made == {"id": made["id"], "name": "r", "domain_id": None, "description": None, "options": {},
                    "links": {"self": f"http://cloud/identity{path}"}}
    assert admin.ask("PATCH", path, {"role": {"description": "d"}}).body["role"]["description"] == "d"
    assert [role["id"] for role in admin.get("/v3/roles?name=r")["roles"]] == [made["id"]]
    assert admin.ask("POST", "/v3/roles", {"role": {"name": "r"}}).status == 409
    assert demo.ask("GET", "/v3/roles").status == demo.ask("DELETE", path).status == 403
    assert admin.ask("DELETE", path).status == 204 and admin.ask("GET", path).status == 404


@pytest.mark.parametrize("place", PLACES)
def test_grants(admin: Client, demo: Client, place: str) -> None:
    role = admin.make("role", name="r")["id"]
    every = f"{place}/users/user-watcher/roles"
    one = f"{every}/{role}"
    assert admin.ask("HEAD", one).status == admin.ask("DELETE", one).status == 404
    assert [admin.ask("PUT", one).status for _ in range(2)] == [204, 204]
    assert admin.ask("HEAD", one).status == admin.ask("GET", one).status == 204
    assert "r" in [found["name"] for found in admin.get(every)["roles"]]
    assert demo.ask("PUT", one).status == demo.ask("GET", every).status == demo.ask("DELETE", one).status == 403
    assert admin.ask("PUT", f"{place}/users/none/roles/{role}").status == admin.ask("PUT", f"{every}/none").status == 404
    assert admin.ask("DELETE", one).status == 204 and admin.ask("HEAD", one).status == 404


def test_grants_on_what_is_not_there(admin: Client) -> None:
    assert admin.ask("PUT", "/v3/projects/none/users/user-demo/roles/role-member").status == 404
    assert admin.ask("PUT", "/v3/domains/none/users/user-demo/roles/role-member").status == 404


def test_a_role_that_goes_ends_its_grants(admin: Client, demo: Client, nobody: Client) -> None:
    assert admin.ask("DELETE", "/v3/roles/role-member").status == 204
    assert not nobody.alive(demo.token)
    assert [each for each in admin.get("/v3/role_assignments")["role_assignments"] if each["role"]["id"] == "role-member"] == []


def test_assignments_are_filtered(admin: Client, demo: Client) -> None:
    def found(query: str) -> list[tuple[str, str]]:
        return [(each["user"]["id"], each["role"]["id"]) for each in admin.get(f"/v3/role_assignments?{query}")["role_assignments"]]

    assert len(found("")) == 5 and found("user.id=user-demo") == [("user-demo", "role-member")]
    assert found("role.id=role-reader") == [("user-watcher", "role-reader")] and found("scope.system=all") == [("user-admin", "role-admin")]
    assert sorted(found("effective&role.id=role-reader&scope.project.id=home")) == [
        ("user-admin", "role-reader"), ("user-demo", "role-reader"), ("user-watcher", "role-reader")]
    shown = admin.get("/v3/role_assignments?user.id=user-demo&include_names")["role_assignments"]
    assert shown == [{
        "role": {"id": "role-member", "name": "member"}, "user": {"id": "user-demo", "name": "demo",
                                                                  "domain": {"id": "default", "name": "Default"}},
        "scope": {"project": {"id": "home", "name": "home", "domain": {"id": "default", "name": "Default"}}},
        "links": {"assignment": "http://cloud/identity/v3/projects/home/users/user-demo/roles/role-member"}}]
    assert demo.ask("GET", "/v3/role_assignments").status == 403


def test_a_role_brings_those_it_implies(admin: Client, nobody: Client) -> None:
    role = admin.make("role", name="r")["id"]
    one = f"/v3/roles/role-member/implies/{role}"
    assert admin.ask("GET", one).status == admin.ask("HEAD", one).status == 404
    made = admin.ask("PUT", one)
    assert made.status == 201 and made.body["role_inference"]["implies"]["name"] == "r"
    assert admin.ask("HEAD", one).status == 204 and admin.get(one)["role_inference"]["prior_role"]["name"] == "member"
    assert {each["name"] for each in admin.get("/v3/roles/role-member/implies")["role_inference"]["implies"]} == {"reader", "r"}
    assert {each["prior_role"]["name"] for each in admin.get("/v3/role_inferences")["role_inferences"]} == {"admin", "manager", "member"}
    assert "r" in [each["name"] for each in nobody.sign_in("demo").body["token"]["roles"]]
    assert admin.ask("DELETE", one).status == 204 and admin.ask("DELETE", one).status == 404
    assert "r" not in [each["name"] for each in nobody.sign_in("demo").body["token"]["roles"]]


def test_no_circles_and_no_way_to_admin(admin: Client, demo: Client) -> None:
    assert admin.ask("PUT", "/v3/roles/role-reader/implies/role-member").status == 403
    assert admin.ask("PUT", "/v3/roles/role-reader/implies/role-reader").status == 403
    assert admin.ask("PUT", "/v3/roles/role-service/implies/role-admin").status == 403
    assert admin.ask("PUT", "/v3/roles/role-service/implies/none").status == 404
    assert demo.ask("PUT", "/v3/roles/role-member/implies/role-service").status == 403
