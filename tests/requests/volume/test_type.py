"""Volume types, services, pools, zones, versions: what clients look at first."""
from __future__ import annotations

from typing import Any

from pilvi.core.http.app import Request


def test_types(world: Any) -> None:
    found = world.ask("GET", "/types")[1]["volume_types"]
    assert [one["name"] for one in found] == ["__DEFAULT__"] and found[0]["is_public"] is True
    assert world.ask("GET", "/types/default")[1]["volume_type"]["id"] == found[0]["id"]
    assert world.ask("POST", "/types", {"volume_type": {"name": "fast"}})[0] == 403
    status, body = world.ask("POST", "/types",
                             {"volume_type": {"name": "fast", "extra_specs": {"a": "b"}, "os-volume-type-access:is_public": True}},
                             who="admin")
    assert status == 200 and body["volume_type"]["extra_specs"] == {"a": "b"}
    id = body["volume_type"]["id"]
    assert world.ask("POST", "/types", {"volume_type": {"name": "fast"}}, who="admin")[0] == 409
    assert world.ask("POST", "/types", {"volume_type": {"name": " "}}, who="admin")[0] == 400
    assert world.ask("PUT", f"/types/{id}", {"volume_type": {"description": "quick"}},
                     who="admin")[1]["volume_type"]["description"] == "quick"
    specs = f"/types/{id}/extra_specs"
    assert world.ask("POST", specs, {"extra_specs": {"c": "d"}}, who="admin")[0] == 200
    assert world.ask("GET", specs)[1] == {"extra_specs": {"a": "b", "c": "d"}} and world.ask("GET", specs + "/c")[1] == {"c": "d"}
    assert world.ask("PUT", specs + "/c", {"c": "e"}, who="admin")[1] == {"c": "e"}
    assert world.ask("DELETE", specs + "/c", who="admin")[0] == 202 and world.ask("GET", specs + "/c")[0] == 404
    volume_id = world.make(volume_type="fast")
    assert world.ask("GET", f"/volumes/{volume_id}")[1]["volume"]["volume_type"] == "fast"
    assert world.ask("DELETE", f"/types/{id}", who="admin")[0] == 400
    world.ask("DELETE", f"/volumes/{volume_id}")
    world.until(volume_id, None)
    assert world.ask("DELETE", f"/types/{id}", who="admin")[0] == 202 and world.ask("GET", f"/types/{id}")[0] == 404
    assert world.ask("PUT", f"/types/{found[0]['id']}", {"volume_type": {"name": "plain"}}, who="admin")[0] == 200
    assert world.ask("DELETE", f"/types/{found[0]['id']}", who="admin")[0] == 400
    assert world.ask("GET", f"/volumes/{world.make()}")[1]["volume"]["volume_type"] == "plain", "the default keeps its place"


def test_a_type_that_is_not_public(world: Any) -> None:
    world.ask("POST", "/types", {"volume_type": {"name": "secret", "os-volume-type-access:is_public": False}}, who="admin")
    assert len(world.ask("GET", "/types")[1]["volume_types"]) == 1
    assert len(world.ask("GET", "/types?is_public=None", who="admin")[1]["volume_types"]) == 2
    assert world.ask("POST", "/volumes", {"volume": {"size": 1, "volume_type": "secret"}})[0] == 404


def test_services_pools_and_zones(world: Any) -> None:
    assert world.ask("GET", "/os-services")[0] == 403 and world.ask("GET", "/scheduler-stats/get_pools")[0] == 403
    services = world.ask("GET", "/os-services", who="admin")[1]["services"]
    assert [(one["binary"], one["host"], one["state"], one["status"]) for one in services] == [
        ("cinder-scheduler", "control", "up", "enabled"), ("cinder-volume", "node1@simulated", "up", "enabled")]
    assert len(world.ask("GET", "/os-services?binary=cinder-volume", who="admin")[1]["services"]) == 1
    status, body = world.ask("PUT", "/os-services/disable-log-reason", {"host": "node1@simulated", "binary": "cinder-volume",
                                                                        "disabled_reason": "repair"}, who="admin")
    assert status == 200 and body["status"] == "disabled" and body["disabled_reason"] == "repair"
    assert world.ask("GET", "/os-services?host=node1", who="admin")[1]["services"][0]["disabled_reason"] == "repair"
    world.agent.report()
    assert world.ask("GET", "/os-services?host=node1", who="admin")[1]["services"][0]["status"] == "disabled", "a report does not undo it"
    assert world.ask("PUT", "/os-services/enable", {"host": "node1@simulated", "binary": "cinder-volume"}, who="admin")[0] == 200
    assert world.ask("PUT", "/os-services/enable", {"host": "node9", "binary": "cinder-volume"}, who="admin")[0] == 404
    world.make(size=7)
    pool = world.ask("GET", "/scheduler-stats/get_pools?detail=True", who="admin")[1]["pools"][0]
    assert pool["name"] == "node1@simulated#simulated" and pool["capabilities"]["allocated_capacity_gb"] == 7
    assert world.ask("GET", "/os-availability-zone")[1] == {"availabilityZoneInfo": [{"zoneName": "nova",
                                                                                      "zoneState": {"available": True}}]}
    assert "os-quota-sets" in [one["alias"] for one in world.ask("GET", "/extensions")[1]["extensions"]]


def test_versions(world: Any) -> None:
    def get(path: str, **headers: str) -> Any: return world.app.handle(Request("GET", path, headers=headers,
                                                                               base="http://cloud/block-storage"))
    root = get("/")
    assert root.status == 300 and root.body["versions"][0]["version"] == "3.71" and root.body["versions"][0]["min_version"] == "3.0"
    assert get("/v3/").status == 200 and get("/v3").body["versions"][0]["links"][1]["href"] == "http://cloud/block-storage/v3/"
    for word in ("volume", "block-storage", "volumev3"):
        answer = get("/v3/volumes", **{"x-auth-token": "member", "openstack-api-version": f"{word} 3.27"})
        assert answer.status == 200 and answer.headers["OpenStack-API-Version"] == "volume 3.27"
    assert get("/v3/volumes", **{"x-auth-token": "member", "openstack-api-version": "volume 3.99"}).status == 406
