"""RBAC policies, tags, quotas, extensions and availability as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def policy(network: dict[str, Any], target: str, action: str = "access_as_shared") -> dict[str, str]:
    return {"object_type": "network", "object_id": network["id"], "action": action, "target_tenant": target}


def test_a_network_is_shared_with_one_project(world: World) -> None:
    network, _ = world.lan()
    made = world.make("rbac_policy", **policy(network, "p2"))
    assert made["target_tenant"] == "p2" and made["project_id"] == "p1"
    assert world.ask("member@p2", "GET", f"/networks/{network['id']}")[1]["network"]["shared"] is True
    assert world.ask("member@p1", "GET", f"/networks/{network['id']}")[1]["network"]["shared"] is False
    assert world.ask("member@p3", "GET", f"/networks/{network['id']}")[0] == 404
    port = world.make("port", "member@p2", network_id=network["id"])
    path = f"/rbac-policies/{made['id']}"
    assert kind(world.ask("member@p1", "DELETE", path)) == (409, "RbacPolicyInUse")
    assert kind(world.ask("member@p1", "PUT", path, {"rbac_policy": {"target_tenant": "p3"}})) == (409, "RbacPolicyInUse")
    world.ask("member@p2", "DELETE", f"/ports/{port['id']}")
    assert world.ask("member@p1", "PUT", path, {"rbac_policy": {"target_tenant": "p3"}})[1]["rbac_policy"]["target_tenant"] == "p3"
    assert world.ask("member@p2", "GET", f"/networks/{network['id']}")[0] == 404
    assert world.ask("member@p1", "DELETE", path)[0] == 204


def test_sharing_with_every_one_is_for_administrators(world: World) -> None:
    network = world.make("network")
    assert world.ask("member@p1", "POST", "/rbac-policies", {"rbac_policy": policy(network, "*")})[0] == 403
    assert kind(world.ask("member@p2", "POST", "/rbac-policies", {"rbac_policy": policy(network, "p2")})) == (404, "NetworkNotFound")
    world.make("rbac_policy", "admin@p0", **policy(network, "*"))
    assert world.ask("member@p1", "GET", f"/networks/{network['id']}")[1]["network"]["shared"] is True
    assert kind(world.ask("admin@p0", "POST", "/rbac-policies", {"rbac_policy": policy(network, "*")})) == (409, "RbacPolicyExists")
    assert kind(world.ask("member@p2", "POST", "/rbac-policies", {"rbac_policy": policy(network, "p2")})) == (400, "InvalidInput")
    assert world.ask("member@p2", "GET", "/rbac-policies")[1]["rbac_policies"] == []


def test_a_policy_makes_a_network_external_and_its_end_ends_that(world: World) -> None:
    network, _ = world.lan(who="admin@p0")
    made = world.make("rbac_policy", "admin@p0", **policy(network, "p2", "access_as_external"))
    assert world.ask("member@p2", "GET", f"/networks/{network['id']}")[1]["network"]["router:external"] is True
    assert world.ask("member@p3", "GET", f"/networks/{network['id']}")[0] == 404
    router = world.make("router", "member@p2", external_gateway_info={"network_id": network["id"]})
    assert kind(world.ask("admin@p0", "DELETE", f"/rbac-policies/{made['id']}")) == (409, "RbacPolicyInUse")
    world.ask("member@p2", "DELETE", f"/routers/{router['id']}")
    assert world.ask("admin@p0", "DELETE", f"/rbac-policies/{made['id']}")[0] == 204
    assert world.ask("admin@p0", "GET", f"/networks/{network['id']}")[1]["network"]["router:external"] is False


def test_a_policy_that_is_needed_may_still_become_narrower(world: World) -> None:
    outside = world.outside()
    found, = world.ask("admin@p0", "GET", f"/rbac-policies?object_id={outside['id']}")[1]["rbac_policies"]
    world.make("router", "member@p2", external_gateway_info={"network_id": outside["id"]})
    path = f"/rbac-policies/{found['id']}"
    assert kind(world.ask("admin@p0", "PUT", path, {"rbac_policy": {"target_tenant": "p3"}})) == (409, "RbacPolicyInUse")
    assert world.ask("admin@p0", "PUT", path, {"rbac_policy": {"target_tenant": "p2"}})[0] == 200
    assert world.ask("member@p2", "GET", f"/networks/{outside['id']}")[1]["network"]["router:external"] is True


def test_the_default_external_network_stays_for_every_one(world: World) -> None:
    outside = world.outside()
    world.ask("admin@p0", "PUT", f"/networks/{outside['id']}", {"network": {"is_default": True}})
    found, = world.ask("admin@p0", "GET", f"/rbac-policies?object_id={outside['id']}")[1]["rbac_policies"]
    assert kind(world.ask("admin@p0", "DELETE", f"/rbac-policies/{found['id']}")) == (409, "RbacPolicyInUse")


def test_the_flag_and_the_policy_are_one_thing(world: World) -> None:
    network = world.make("network", "admin@p0", shared=True)
    found = world.ask("admin@p0", "GET", f"/rbac-policies?object_id={network['id']}")[1]["rbac_policies"]
    assert [(one["action"], one["target_tenant"]) for one in found] == [("access_as_shared", "*")]
    world.ask("admin@p0", "DELETE", f"/rbac-policies/{found[0]['id']}")
    assert world.ask("admin@p0", "GET", f"/networks/{network['id']}")[1]["network"]["shared"] is False


@pytest.mark.parametrize("noun", ["network", "subnet", "port", "router", "floatingip", "security_group"])
def test_tags_of_everything(world: World, noun: str) -> None:
    network, subnet = world.lan()
    made = {"network": network, "subnet": subnet}.get(noun) or world.make(noun, **{
        "port": {"network_id": network["id"]}, "floatingip": {"floating_network_id": world.outside()["id"]}}.get(noun, {"name": "n"}))
    plural = f"/{noun.replace('_', '-')}s"
    path = f"{plural}/{made['id']}/tags"
    assert world.ask("member@p1", "PUT", path, {"tags": ["red", "bl_e"]})[1] == {"tags": ["red", "bl_e"]}
    assert world.ask("member@p1", "PUT", path + "/new", {})[0] == 201
    assert world.ask("member@p1", "GET", path + "/new")[0] == 204
    assert world.ask("member@p1", "GET", path)[1] == {"tags": ["red", "bl_e", "new"]}
    listed = world.ask("member@p1", "GET", plural + "?tags=red,new")[1][f"{noun}s"]
    assert [one["id"] for one in listed] == [made["id"]] and listed[0]["revision_number"] >= 2
    assert world.ask("member@p1", "DELETE", path + "/new")[0] == 204
    assert kind(world.ask("member@p1", "DELETE", path + "/new")) == (404, "TagNotFound")
    assert world.ask("member@p1", "DELETE", path)[0] == 204
    assert world.ask("member@p1", "GET", path)[1] == {"tags": []}
    assert world.ask("reader@p1", "PUT", path, {"tags": []})[0] == 403
    assert world.ask("member@p1", "PUT", path, {"tags": ["a,b"]})[0] == 400


def test_tags_narrow_lists(world: World) -> None:
    for name, tags in {"a": ["red"], "b": ["red", "blue"], "c": ["redder"], "d": []}.items():
        network = world.make("network", name=name)
        world.ask("member@p1", "PUT", f"/networks/{network['id']}/tags", {"tags": tags})

    def found(query: str) -> str:
        return "".join(sorted(one["name"] for one in world.ask("member@p1", "GET", f"/networks?{query}")[1]["networks"]))

    assert found("tags=red") == "ab" and found("tags=red,blue") == "b" and found("tags-any=blue,redder") == "bc"
    assert found("not-tags=red,blue") == "acd" and found("not-tags-any=red,redder") == "d"
    assert found("tags=re_") == "" and found("tags=%25") == ""


def test_quotas_are_shown_set_and_forgotten(world: World) -> None:
    assert world.ask("reader@p1", "GET", "/quotas/p1")[1]["quota"]["network"] == 100
    assert world.ask("reader@p1", "GET", "/quotas/p2")[0] == 403
    assert world.ask("member@p1", "PUT", "/quotas/p1", {"quota": {"network": 1}})[0] == 403
    assert world.ask("admin@p0", "PUT", "/quotas/p1", {"quota": {"network": 1}})[1]["quota"]["network"] == 1
    world.make("network")
    status, body = world.ask("member@p1", "POST", "/networks", {"network": {}})
    assert (status, body["NeutronError"]["type"]) == (409, "OverQuota")
    assert world.ask("member@p1", "GET", "/quotas/p1/details")[1]["quota"]["network"] == {"limit": 1, "used": 1, "reserved": 0}
    assert world.ask("member@p1", "GET", "/quotas/p1/default")[1]["quota"]["network"] == 100
    assert [one["project_id"] for one in world.ask("admin@p0", "GET", "/quotas")[1]["quotas"]] == ["p1"]
    assert world.ask("admin@p0", "PUT", "/quotas/p1", {"quota": {"network": 0, "check_limit": True}})[0] == 400
    assert world.ask("admin@p0", "DELETE", "/quotas/p1")[0] == 204
    assert kind(world.ask("admin@p0", "DELETE", "/quotas/p1")) == (404, "TenantQuotaNotFound")
    assert world.ask("admin@p0", "PUT", "/quotas/p1", {"quota": {"unicorn": 1}})[0] == 400


def test_extensions_are_told(world: World) -> None:
    aliases = {one["alias"] for one in world.ask("member@p1", "GET", "/extensions")[1]["extensions"]}
    assert {"router", "security-group", "quotas", "standard-attr-tag", "pilvi-explain"} <= aliases and "trunk" not in aliases
    assert world.ask("member@p1", "GET", "/extensions/router")[1]["extension"]["alias"] == "router"
    assert kind(world.ask("member@p1", "GET", "/extensions/trunk")) == (404, "ExtensionNotFound")


def test_zones_hosts_and_room_are_told(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"])
    world.ask("admin@p0", "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    agent, = world.ask("admin@p0", "GET", "/agents?host=h1")[1]["agents"]
    assert agent["host"] == "h1" and world.ask("admin@p0", "GET", f"/agents/{agent['id']}")[0] == 200
    assert world.ask("member@p1", "GET", "/agents")[0] == 403
    zones = world.ask("member@p1", "GET", "/availability_zones")[1]["availability_zones"]
    assert {zone["resource"] for zone in zones} == {"network", "router"}
    room = world.ask("admin@p0", "GET", f"/network-ip-availabilities/{network['id']}")[1]["network_ip_availability"]
    assert (room["total_ips"], room["used_ips"]) == (253, 2) and room["subnet_ip_availability"][0]["subnet_id"] == subnet["id"]
    assert world.ask("admin@p0", "GET", "/network-ip-availabilities?ip_version=6")[1]["network_ip_availabilities"] == []
    assert world.ask("admin@p0", "GET", f"/network-ip-availabilities/{'0' * 32}")[0] == 404


def test_a_router_takes_no_gateway_of_what_is_shared_with_all(world: World) -> None:
    network = world.make("network", "admin@p0", shared=True)
    subnet = world.make("subnet", "admin@p0", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    outside = world.outside()
    router = world.make("router")
    path = f"/routers/{router['id']}/add_router_interface"
    for taken in (subnet["id"], outside["subnets"][0] if outside["subnets"] else subnet["id"]):
        assert world.ask("member@p1", "PUT", path, {"subnet_id": taken})[0] in (400, 404)
    port = world.make("port", network_id=network["id"])
    assert world.ask("member@p1", "PUT", path, {"port_id": port["id"]})[0] == 200
    lent, own = world.lan("10.1.0.0/24", "member@p2")
    world.make("rbac_policy", "member@p2", **policy(lent, "p1"))
    assert world.ask("member@p1", "PUT", path, {"subnet_id": own["id"]})[0] == 200
