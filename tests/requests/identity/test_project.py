"""Projects: their life, trees and tags, and who sees which."""
from __future__ import annotations

from typing import Any

from tests.requests.identity.cloud import Client


def names(body: dict[str, Any]) -> list[str]:
    return [project["name"] for project in body["projects"]]


def test_a_project_lives(admin: Client) -> None:
    made = admin.make("project", name="p", description="d", colour="red")
    assert made == {"id": made["id"], "name": "p", "domain_id": "default", "parent_id": "default", "description": "d", "enabled": True,
                    "is_domain": False,
                    "tags": [], "options": {}, "colour": "red", "links": {"self": f"http://cloud/identity/v3/projects/{made['id']}"}}
    path = f"/v3/projects/{made['id']}"
    assert admin.get(path) == {"project": made} and admin.ask("HEAD", path).status == 200
    changed = admin.ask("PATCH", path, {"project": {"name": "q", "colour": "blue", "size": "xl"}}).body["project"]
    assert (changed["name"], changed["colour"], changed["size"]) == ("q", "blue", "xl")
    assert admin.ask("PATCH", path, {"project": {"domain_id": "other"}}).status == 400
    assert admin.ask("DELETE", path).status == 204 and admin.ask("GET", path).status == 404


def test_a_changed_extra_keeps_the_others(admin: Client) -> None:
    path = f"/v3/projects/{admin.make('project', name='p', colour='red', size='xl')['id']}"
    changed = admin.ask("PATCH", path, {"project": {"colour": "blue"}}).body["project"]
    assert (changed["colour"], changed["size"]) == ("blue", "xl")


def test_names_are_taken_once_in_a_domain(admin: Client) -> None:
    admin.make("project", name="p")
    reply = admin.ask("POST", "/v3/projects", {"project": {"name": "p"}})
    assert reply.status == 409 and reply.body["error"]["title"] == "Conflict"
    other = admin.make("domain", name="d")
    made = admin.make("project", name="p", domain_id=other["id"])
    assert admin.ask("PATCH", f"/v3/projects/{made['id']}", {"project": {"name": "q"}}).status == 200
    assert admin.ask("PATCH", "/v3/projects/home", {"project": {"name": "p"}}).status == 409
    assert admin.ask("POST", "/v3/projects", {"project": {"name": "x", "domain_id": "none"}}).status == 404
    assert admin.ask("POST", "/v3/projects", {"project": {"name": "x", "is_domain": True, "domain_id": "default"}}).status == 400


def test_lists_are_filtered(admin: Client) -> None:
    admin.make("project", name="off", enabled=False)
    other = admin.make("domain", name="d")
    admin.make("project", name="far", domain_id=other["id"])
    assert names(admin.get("/v3/projects")) == ["far", "home", "off"]
    assert names(admin.get("/v3/projects?name=home")) == ["home"]
    assert names(admin.get("/v3/projects?enabled=False")) == ["off"]
    assert names(admin.get("/v3/projects?enabled=true&domain_id=default")) == ["home"]
    assert names(admin.get(f"/v3/projects?domain_id={other['id']}")) == ["far"]
    assert names(admin.get("/v3/projects?parent_id=default")) == ["home", "off"]


def test_one_sees_the_projects_where_one_has_a_role(admin: Client, demo: Client, nobody: Client) -> None:
    far = admin.make("project", name="far")
    assert names(demo.get("/v3/auth/projects")) == ["home"] and demo.ask("GET", "/v3/projects").status == 403
    assert demo.ask("GET", f"/v3/projects/{far['id']}").status == 403 == demo.ask("GET", "/v3/projects/absent").status
    admin.ask("PUT", f"/v3/projects/{far['id']}/users/user-demo/roles/role-reader")
    assert names(demo.get("/v3/auth/projects")) == ["far", "home"] and names(demo.get("/v3/users/user-demo/projects")) == ["far", "home"]
    assert demo.ask("GET", "/v3/users/user-admin/projects").status == 403 and nobody.ask("GET", "/v3/projects").status == 401
    for method, path in (("POST", "/v3/projects"), ("PATCH", "/v3/projects/home"), ("DELETE", "/v3/projects/home")):
        assert demo.ask(method, path, {"project": {"name": "x"}}).status == 403


def test_projects_form_trees(admin: Client, nobody: Client) -> None:
    top = admin.make("project", name="top")
    middle = admin.make("project", name="middle", parent_id=top["id"])
    low = admin.make("project", name="low", parent_id=middle["id"])
    found = admin.get(f"/v3/projects/{middle['id']}?parents_as_ids&subtree_as_ids")["project"]
    assert found["parents"] == {top["id"]: None} and found["subtree"] == {low["id"]: None}
    found = admin.get(f"/v3/projects/{low['id']}?parents_as_list&subtree_as_list")["project"]
    assert [each["project"]["name"] for each in found["parents"]] == ["middle", "top"] and found["subtree"] == []
    assert admin.ask("GET", f"/v3/projects/{low['id']}?parents_as_list&parents_as_ids").status == 400
    assert admin.ask("DELETE", f"/v3/projects/{middle['id']}").status == 403
    assert admin.ask("POST", "/v3/projects", {"project": {"name": "x", "parent_id": "none"}}).status == 404
    admin.ask("PUT", f"/v3/projects/{low['id']}/users/user-demo/roles/role-reader")
    there = Client(admin.application, nobody.sign_in("demo", scope={"project": {"id": low["id"]}}).headers["X-Subject-Token"])
    assert there.get(f"/v3/projects/{low['id']}?parents_as_list")["project"]["parents"] == []


def test_tags(admin: Client, demo: Client) -> None:
    tags, other = "/v3/projects/home/tags", admin.make("project", name="p", tags=["Blue", "red"])
    assert admin.ask("PUT", tags, {"tags": ["b", "a"]}).body["tags"] == ["a", "b"]
    assert admin.ask("PUT", f"{tags}/c d").status == 201 and admin.get(tags)["tags"] == ["a", "b", "c d"]
    assert demo.get(tags)["tags"] == ["a", "b", "c d"] and demo.ask("PUT", f"{tags}/x").status == demo.ask("DELETE", tags).status == 403
    assert admin.ask("HEAD", f"{tags}/a").status == 204 and admin.ask("GET", f"{tags}/z").status == 404
    assert admin.ask("DELETE", f"{tags}/b").status == 204 and admin.ask("DELETE", f"{tags}/b").status == 404
    for bad in ({"tags": "a"}, {"tags": ["a", "a"]}, {"tags": ["a,b"]}, {"tags": [""]}, {"tags": [str(i) for i in range(81)]}, {}):
        assert admin.ask("PUT", tags, bad).status == 400, bad
    assert admin.ask("PUT", f"{tags}/a,b").status == 400
    for query, found in [("tags=a", ["home"]), ("tags=a,c d", ["home"]), ("tags=a,red", []), ("tags-any=a,red", ["home", "p"]),
                         ("tags=A", []),
                         ("not-tags=a", ["p"]), ("not-tags-any=a,red", []), ("tags=blue", []), ("tags=Blue,red", [other["name"]]),
                         ("tags=%22", [])]:
        assert names(admin.get("/v3/projects?" + query)) == found, query
    assert admin.ask("DELETE", tags).status == 204 and admin.get(tags)["tags"] == []


def test_what_acts_as_a_domain_is_one(admin: Client) -> None:
    made = admin.make("project", name="realm", is_domain=True, domain_id=None)
    assert made["domain_id"] is None and made["parent_id"] is None
    path = f"/v3/domains/{made['id']}"
    assert admin.get(path)["domain"]["name"] == "realm" and admin.get("/v3/projects?name=realm")["projects"] == []
    assert names(admin.get("/v3/projects?is_domain=true&name=realm")) == ["realm"]
    assert admin.ask("PATCH", path, {"domain": {"name": "empire", "enabled": False}}).status == 200
    assert admin.get(f"/v3/projects/{made['id']}")["project"]["name"] == "empire"
    assert admin.ask("DELETE", f"/v3/projects/{made['id']}").status == 204 and admin.ask("GET", path).status == 404


def test_trees_are_bounded_and_switched_from_their_leaves(admin: Client) -> None:
    ids = ["default"]
    for level in range(4): ids.append(admin.make("project", name=f"p{level}", parent_id=ids[-1])["id"])
    assert admin.ask("POST", "/v3/projects", {"project": {"name": "deep", "parent_id": ids[-1]}}).status == 403

    def switch(id: str, on: bool) -> int:
        return admin.ask("PATCH", f"/v3/projects/{id}", {"project": {"enabled": on}}).status

    assert switch(ids[3], False) == 403 and switch(ids[4], False) == switch(ids[3], False) == 200
    assert switch(ids[4], True) == 403 and switch(ids[3], True) == switch(ids[4], True) == 200
