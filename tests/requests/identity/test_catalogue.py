"""Regions, services and endpoints, and the catalogue that a token shows."""
from __future__ import annotations

from tests.requests.identity.cloud import Client


def test_regions(admin: Client, demo: Client) -> None:
    made = admin.make("region", id="RegionOne", description="d")
    assert made == {"id": "RegionOne", "description": "d", "parent_region_id": None,
                    "links": {"self": "http://cloud/identity/v3/regions/RegionOne"}}
    assert admin.ask("POST", "/v3/regions", {"region": {"id": "RegionOne"}}).status == 409
    named = admin.make("region")
    assert len(named["id"]) == 32
    low = admin.make("region", parent_region_id="RegionOne")
    assert admin.ask("POST", "/v3/regions", {"region": {"parent_region_id": "none"}}).status == 404
    assert admin.ask("PATCH", "/v3/regions/RegionOne", {"region": {"parent_region_id": low["id"]}}).status == 404
    assert {region["id"] for region in demo.get("/v3/regions")["regions"]} == {"RegionOne", named["id"], low["id"]}
    assert [region["id"] for region in demo.get("/v3/regions?parent_region_id=RegionOne")["regions"]] == [low["id"]]
    assert demo.ask("POST", "/v3/regions", {"region": {}}).status == demo.ask("DELETE", "/v3/regions/RegionOne").status == 403
    assert admin.ask("PATCH", "/v3/regions/RegionOne", {"region": {"description": "e"}}).body["region"]["description"] == "e"
    assert admin.ask("DELETE", "/v3/regions/RegionOne").status == 204
    assert admin.ask("GET", f"/v3/regions/{low['id']}").status == 404


def test_a_region_with_endpoints_stays(admin: Client) -> None:
    admin.make("region", id="r")
    low = admin.make("region", parent_region_id="r")
    service = admin.make("service", type="t")
    endpoint = admin.make("endpoint", service_id=service["id"], interface="public", url="http://x", region_id=low["id"])
    assert admin.ask("DELETE", "/v3/regions/r").status == 403
    assert admin.ask("DELETE", f"/v3/endpoints/{endpoint['id']}").status == 204 and admin.ask("DELETE", "/v3/regions/r").status == 204


def test_services_and_endpoints(admin: Client, demo: Client) -> None:
    service = admin.make("service", type="compute", name="nova", description="d")
    assert service["enabled"] is True and [found["id"] for found in admin.get("/v3/services?type=compute")["services"]] == [service["id"]]
    endpoint = admin.make("endpoint", service_id=service["id"], interface="public", url="http://x/$(project_id)s", region="made")
    assert endpoint["region"] == endpoint["region_id"] == "made" and admin.get("/v3/regions/made")["region"]["id"] == "made"
    for query, count in [("interface=public", 1), ("interface=admin", 0), (f"service_id={service['id']}", 1), ("region_id=made", 1),
                         ("region_id=x", 0)]:
        assert len(admin.get(f"/v3/endpoints?{query}")["endpoints"]) == count, query
    for change in ({"service_id": "none"}, {"interface": "other"}, {"region_id": "none"}, {"url": ""}, {"url": "http://x/$(secret)s"},
                   {"enabled": "perhaps"}):
        inner = {"service_id": service["id"], "interface": "public", "url": "http://x"} | change
        assert admin.ask("POST", "/v3/endpoints", {"endpoint": inner}).status == 400, change
        assert admin.ask("PATCH", f"/v3/endpoints/{endpoint['id']}", {"endpoint": change}).status == 400, change
    changed = admin.ask("PATCH", f"/v3/endpoints/{endpoint['id']}", {"endpoint": {"url": "http://y"}}).body["endpoint"]
    assert changed["url"] == "http://y" and changed["region_id"] == "made"
    for path in ("/v3/services", "/v3/endpoints", f"/v3/services/{service['id']}"): assert demo.ask("GET", path).status == 403
    assert admin.ask("DELETE", f"/v3/services/{service['id']}").status == 204
    assert admin.get("/v3/endpoints")["endpoints"] == []


def test_the_catalogue_of_a_token(admin: Client, nobody: Client) -> None:
    admin.make("region", id="r")
    service = admin.make("service", type="object-store", name="swift")
    off = admin.make("service", type="off", enabled=False)
    own = admin.make("endpoint", service_id=service["id"], interface="public", url="http://x/AUTH_%(project_id)s/$(user_id)s",
                     region_id="r")
    admin.make("endpoint", service_id=service["id"], interface="admin", url="http://x", region_id="r", enabled=False)
    admin.make("endpoint", service_id=off["id"], interface="public", url="http://x", region_id="r")
    assert nobody.sign_in("demo").body["token"]["catalog"] == [{
        "id": service["id"], "type": "object-store", "name": "swift",
        "endpoints": [{"id": own["id"], "interface": "public", "region": "r", "region_id": "r", "url": "http://x/AUTH_home/user-demo"}]}]
    system = nobody.sign_in("admin", scope={"system": {"all": True}}).body["token"]["catalog"]
    assert system[0]["endpoints"] == []


def test_a_change_is_seen_by_a_token_that_was_looked_at_a_moment_ago(admin: Client) -> None:
    def seen() -> list[str]:
        return [service["type"] for service in admin.validated(admin.token).body["token"]["catalog"]]

    assert seen() == []
    for number in range(3):
        made = admin.make("service", type=f"kind-{number}")
        assert seen() == [f"kind-{number}"]
        assert admin.ask("DELETE", f"/v3/services/{made['id']}").status == 204
        assert seen() == []


def test_each_user_and_scope_has_a_catalogue_of_its_own(admin: Client, nobody: Client) -> None:
    service = admin.make("service", type="object-store")
    admin.make("endpoint", service_id=service["id"], interface="public", url="http://x/%(project_id)s/$(user_id)s")
    system = {"system": {"all": True}}
    tokens = [(user, nobody.sign_in(user, scope=scope).headers["X-Subject-Token"], scope)
              for user, scope in (("demo", "home"), ("demo", "home"), ("admin", "home"), ("admin", system))]
    for user, token, scope in [*tokens, *tokens]:
        shown, = admin.validated(token).body["token"]["catalog"]
        urls = [endpoint["url"] for endpoint in shown["endpoints"]]
        assert len(urls) == (0 if scope is system else 1) and all(url.endswith(f"/user-{user}") for url in urls)
