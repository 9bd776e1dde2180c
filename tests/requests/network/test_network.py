"""Networks as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


def test_a_new_network_has_what_clients_expect(world: World) -> None:
    made = world.make("network", name="lan")
    assert made["mtu"] == 1442 and made["status"] == "ACTIVE" and made["admin_state_up"] is True
    assert made["shared"] is False and made["router:external"] is False and made["port_security_enabled"] is True
    assert made["project_id"] == made["tenant_id"] == "p1"
    assert made["subnets"] == [] and made["tags"] == [] and made["revision_number"] == 0
    assert not any(name.startswith("provider:") for name in made)


def test_administrators_see_what_lies_beneath(world: World) -> None:
    made = world.make("network", "admin@p0")
    assert made["provider:network_type"] == "geneve" and made["provider:physical_network"] is None


def test_networks_belong_to_their_project(world: World) -> None:
    made = world.make("network")
    assert world.ask("member@p2", "GET", f"/networks/{made['id']}")[0] == 404
    assert world.ask("member@p2", "GET", "/networks")[1]["networks"] == []
    assert world.ask("reader@p1", "GET", f"/networks/{made['id']}")[0] == 200
    assert world.ask("reader@p1", "POST", "/networks", {"network": {}})[0] == 403
    assert world.ask("reader@p1", "PUT", f"/networks/{made['id']}", {"network": {"name": "x"}})[0] == 403
    assert world.ask("reader@p1", "DELETE", f"/networks/{made['id']}")[0] == 403


def test_several_are_made_at_once_or_none(world: World) -> None:
    status, body = world.ask("member@p1", "POST", "/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert status == 201 and [network["name"] for network in body["networks"]] == ["a", "b"]
    assert world.ask("member@p1", "POST", "/networks", {"networks": [{"name": "c"}, {"mtu": 9000}]})[0] == 400
    assert {network["name"] for network in world.ask("member@p1", "GET", "/networks")[1]["networks"]} == {"a", "b"}


@pytest.mark.parametrize("attribute", [
    {"shared": True}, {"router:external": True}, {"provider:network_type": "flat"}, {"is_default": True}])
def test_some_attributes_are_for_administrators(world: World, attribute: dict[str, Any]) -> None:
    assert world.ask("member@p1", "POST", "/networks", {"network": attribute})[0] == 403


def test_saying_the_default_asks_for_nothing(world: World) -> None:
    assert world.ask("member@p1", "POST", "/networks", {"network": {"shared": False, "router:external": False}})[0] == 201


@pytest.mark.parametrize("attributes, kind", [
    ({"provider:network_type": "flat"}, "InvalidInput"),
    ({"provider:network_type": "flat", "provider:physical_network": "nowhere"}, "InvalidInput"),
    ({"provider:network_type": "vlan", "provider:physical_network": "external"}, "InvalidInput"),
    ({"provider:physical_network": "external"}, "InvalidInput"),
])
def test_provider_attributes_must_make_sense(world: World, attributes: dict[str, Any], kind: str) -> None:
    status, body = world.ask("admin@p0", "POST", "/networks", {"network": attributes})
    assert (status, body["NeutronError"]["type"]) == (400, kind)


def test_a_physical_network_carries_one_flat_network_and_each_vlan_once(world: World) -> None:
    world.outside()
    flat = {"provider:network_type": "flat", "provider:physical_network": "external"}
    assert world.ask("admin@p0", "POST", "/networks", {"network": flat})[1]["NeutronError"]["type"] == "FlatNetworkInUse"
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "external", "provider:segmentation_id": 7}
    assert world.ask("admin@p0", "POST", "/networks", {"network": vlan})[0] == 201
    assert world.ask("admin@p0", "POST", "/networks", {"network": vlan})[1]["NeutronError"]["type"] == "VlanIdInUse"


def test_shared_networks_are_for_every_one_and_external_ones_hide_their_subnets(world: World) -> None:
    network, subnet = world.lan(who="admin@p0")
    world.ask("admin@p0", "PUT", f"/networks/{network['id']}", {"network": {"shared": True}})
    assert world.ask("member@p2", "GET", f"/networks/{network['id']}")[1]["network"]["shared"] is True
    assert world.ask("member@p2", "GET", f"/subnets/{subnet['id']}")[0] == 200
    assert world.ask("member@p2", "PUT", f"/networks/{network['id']}", {"network": {"name": "mine"}})[0] == 403
    outside = world.outside()
    shown = world.ask("member@p2", "GET", "/networks?router:external=True")[1]["networks"]
    assert [found["id"] for found in shown] == [outside["id"]]
    assert world.ask("member@p2", "GET", f"/subnets/{shown[0]['subnets'][0]}")[0] == 404
    listed = world.ask("member@p2", "GET", "/networks?shared=True")[1]["networks"]
    assert [found["id"] for found in listed] == [network["id"]]


def test_what_others_use_stays_shared(world: World) -> None:
    network, _ = world.lan(who="admin@p0")
    path = f"/networks/{network['id']}"
    world.ask("admin@p0", "PUT", path, {"network": {"shared": True}})
    port = world.make("port", "member@p2", network_id=network["id"])
    assert world.ask("admin@p0", "PUT", path, {"network": {"shared": False}})[1]["NeutronError"]["type"] == "InvalidSharedSetting"
    world.ask("member@p2", "DELETE", f"/ports/{port['id']}")
    assert world.ask("admin@p0", "PUT", path, {"network": {"shared": False}})[0] == 200
    assert world.ask("member@p2", "GET", path)[0] == 404


def test_a_network_goes_with_its_subnets_but_not_under_ports(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"])
    status, body = world.ask("member@p1", "DELETE", f"/networks/{network['id']}")
    assert (status, body["NeutronError"]["type"]) == (409, "NetworkInUse") and port["id"] in body["NeutronError"]["message"]
    world.ask("member@p1", "DELETE", f"/ports/{port['id']}")
    assert world.ask("member@p1", "DELETE", f"/networks/{network['id']}")[0] == 204
    assert world.ask("member@p1", "GET", f"/subnets/{subnet['id']}")[0] == 404
    assert world.ask("admin@p0", "GET", "/ports")[1]["ports"] == []


def test_packets_have_a_largest_size(world: World) -> None:
    assert world.ask("member@p1", "POST", "/networks", {"network": {"mtu": 1443}})[1]["NeutronError"]["type"] == "InvalidInput"


def test_subnets_need_packets_of_some_size(world: World) -> None:
    for version, cidr, least in ((4, "10.0.0.0/24", 68), (6, "2001:db8::/64", 1280)):
        network = world.make("network", mtu=least - 1)
        body = {"subnet": {"network_id": network["id"], "ip_version": version, "cidr": cidr}}
        status, answer = world.ask("member@p1", "POST", "/subnets", body)
        assert (status, answer["NeutronError"]["type"]) == (409, "NetworkMTUSubnetConflict")
        path = f"/networks/{network['id']}"
        assert world.ask("member@p1", "PUT", path, {"network": {"mtu": least}})[1]["network"]["mtu"] == least
        world.make("subnet", **body["subnet"])
        assert world.ask("member@p1", "PUT", path, {"network": {"mtu": least - 1}})[0] == 409


def test_a_change_can_be_bound_to_a_revision(world: World) -> None:
    network = world.make("network")
    path = f"/networks/{network['id']}"
    changed = world.ask("member@p1", "PUT", path, {"network": {"name": "a"}}, if_match="revision_number=0")
    assert changed[0] == 200 and changed[1]["network"]["revision_number"] == 1
    status, body = world.ask("member@p1", "PUT", path, {"network": {"name": "b"}}, if_match="revision_number=0")
    assert (status, body["NeutronError"]["type"]) == (412, "RevisionNumberConstraintFailed")
    assert world.ask("member@p1", "DELETE", path, if_match="revision_number=0")[0] == 412
    assert world.ask("member@p1", "DELETE", path, if_match="revision_number=1")[0] == 204


def test_lists_are_narrowed_sorted_and_paged(world: World) -> None:
    for name in "cab": world.make("network", name=name)
    page = world.ask("member@p1", "GET", "/networks?sort_key=name&sort_dir=asc&limit=2&fields=name")[1]
    assert [network["name"] for network in page["networks"]] == ["a", "b"]
    assert {link["rel"] for link in page["networks_links"]} == {"next", "previous"}
    following = next(link["href"] for link in page["networks_links"] if link["rel"] == "next").removeprefix("http://cloud/network/v2.0")
    last = world.ask("member@p1", "GET", following)[1]
    assert [network["name"] for network in last["networks"]] == ["c"] and [link["rel"] for link in last["networks_links"]] == ["previous"]
    back = world.ask("member@p1", "GET", last["networks_links"][0]["href"].removeprefix("http://cloud/network/v2.0"))[1]
    assert [network["name"] for network in back["networks"]] == ["a", "b"]
    narrowed = world.ask("member@p1", "GET", "/networks?name=a&name=c&fields=name&sort_key=name")[1]["networks"]
    assert narrowed == [{"name": "a"}, {"name": "c"}]
    assert world.ask("member@p1", "GET", "/networks?admin_state_up=False")[1]["networks"] == []


def test_only_administrators_make_things_for_others(world: World) -> None:
    assert world.ask("member@p1", "POST", "/networks", {"network": {"project_id": "p2"}})[0] == 400
    assert world.make("network", "admin@p0", project_id="p2")["tenant_id"] == "p2"
