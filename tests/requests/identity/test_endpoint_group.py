"""Which endpoints a project's catalogue shows: one by one, and by groups with a filter."""
from __future__ import annotations

from tests.requests.identity.cloud import Client

ROOT = "/v3/OS-EP-FILTER"


def test_endpoints_and_groups_of_a_project(admin: Client, demo: Client) -> None:
    service = admin.make("service", type="compute")
    public, internal = (admin.make("endpoint", service_id=service["id"], interface=kind, url="http://x") for kind in ("public", "internal"))
    project = admin.make("project", name="filtered", domain_id="default")
    group = admin.ask("POST", f"{ROOT}/endpoint_groups", {"endpoint_group": {"name": "g", "filters": {"interface": "internal"}}}).body
    group = group["endpoint_group"]
    alone, grouped = f"{ROOT}/projects/{project['id']}/endpoints/{public['id']}", f"{ROOT}/endpoint_groups/{group['id']}"
    member = f"{grouped}/projects/{project['id']}"

    def shown() -> set[str]: return {one["id"] for one in admin.get(f"{ROOT}/projects/{project['id']}/endpoints")["endpoints"]}

    for path in (alone, member):
        assert admin.ask("GET", path).status == admin.ask("DELETE", path).status == 404
        assert demo.ask("PUT", path).status == 403 and admin.ask("PUT", path).status == 204 and admin.ask("PUT", path).status == 204
    assert admin.ask("GET", alone).status == 204 and admin.get(member)["endpoint_group"]["id"] == group["id"]
    assert shown() == {public["id"], internal["id"]}
    assert [one["id"] for one in admin.get(f"{grouped}/endpoints")["endpoints"]] == [internal["id"]]
    for path in (f"{grouped}/projects", f"{ROOT}/endpoints/{public['id']}/projects"):
        found = admin.get(path)
        assert [one["name"] for one in found["projects"]] == ["filtered"] and found["links"]["next"] is None
    of_project = admin.get(f"{ROOT}/projects/{project['id']}/endpoint_groups")["endpoint_groups"]
    assert [one["name"] for one in of_project] == ["g"]
    assert admin.ask("DELETE", member).status == 204 and shown() == {public["id"]}
    assert admin.ask("DELETE", alone).status == 204 and admin.ask("GET", alone).status == 404


def test_what_is_not_there_is_not_found(admin: Client) -> None:
    project = admin.make("project", name="filtered", domain_id="default")
    for path in (f"projects/{project['id']}/endpoints/none", f"endpoint_groups/none/projects/{project['id']}"):
        for method in ("PUT", "GET", "DELETE"): assert admin.ask(method, f"{ROOT}/{path}").status == 404, (method, path)
    for path in ("endpoint_groups/none/endpoints", "endpoints/none/projects", "projects/none/endpoint_groups"):
        assert admin.ask("GET", f"{ROOT}/{path}").status == 404, path
