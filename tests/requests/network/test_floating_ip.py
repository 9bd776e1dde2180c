"""Floating IPs as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


@pytest.fixture
def place(world: World) -> dict[str, Any]:
    """An external network, a router, and two ports behind it."""
    outside = world.outside()
    network, subnet = world.lan()
    router = world.make("router", external_gateway_info={"network_id": outside["id"]})
    world.ask("member@p1", "PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    ports = [world.make("port", network_id=network["id"]) for _ in range(2)]
    return {"outside": outside["id"], "router": router["id"], "ports": [port["id"] for port in ports], "network": network["id"]}


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def tie(world: World, floating: dict[str, Any], **values: Any) -> tuple[int, Any]:
    answer: tuple[int, Any] = world.ask("member@p1", "PUT", f"/floatingips/{floating['id']}", {"floatingip": values})
    return answer


def test_one_alone_is_down(world: World, place: dict[str, Any]) -> None:
    made = world.make("floatingip", floating_network_id=place["outside"])
    assert made["floating_ip_address"] == "192.0.2.3" and made["status"] == "DOWN"
    assert made["port_id"] is made["fixed_ip_address"] is made["router_id"] is made["port_details"] is None
    port, = world.ask("admin@p0", "GET", "/ports?device_owner=network:floatingip")[1]["ports"]
    assert port["device_id"] == made["id"] and port["project_id"] == ""


def test_one_with_a_port_knows_its_router(world: World, place: dict[str, Any]) -> None:
    made = world.make("floatingip", floating_network_id=place["outside"], port_id=place["ports"][0])
    assert (made["status"], made["router_id"], made["fixed_ip_address"]) == ("ACTIVE", place["router"], "10.0.0.3")
    assert made["port_details"]["network_id"] == place["network"]


def test_it_moves_and_leaves(world: World, place: dict[str, Any]) -> None:
    made = world.make("floatingip", floating_network_id=place["outside"], port_id=place["ports"][0])
    moved = tie(world, made, port_id=place["ports"][1])[1]["floatingip"]
    assert (moved["port_id"], moved["fixed_ip_address"], moved["revision_number"]) == (place["ports"][1], "10.0.0.4", 1)
    said = tie(world, made, description="mine")[1]["floatingip"]
    assert said["port_id"] == place["ports"][1] and said["description"] == "mine"
    left = tie(world, made, port_id=None)[1]["floatingip"]
    assert (left["port_id"], left["fixed_ip_address"], left["status"], left["revision_number"]) == (None, None, "DOWN", 3)


def test_an_address_has_one(world: World, place: dict[str, Any]) -> None:
    world.make("floatingip", floating_network_id=place["outside"], port_id=place["ports"][0])
    other = world.make("floatingip", floating_network_id=place["outside"])
    assert kind(tie(world, other, port_id=place["ports"][0])) == (409, "FloatingIPPortAlreadyAssociated")


def test_of_several_addresses_one_must_be_named(world: World, place: dict[str, Any]) -> None:
    wishes = [{"ip_address": "10.0.0.20"}, {"ip_address": "10.0.0.21"}]
    port = world.make("port", network_id=place["network"], fixed_ips=wishes)
    floating = world.make("floatingip", floating_network_id=place["outside"])
    assert kind(tie(world, floating, port_id=port["id"])) == (400, "BadRequest")
    assert kind(tie(world, floating, port_id=port["id"], fixed_ip_address="10.0.0.99")) == (400, "BadRequest")
    tied = tie(world, floating, port_id=port["id"], fixed_ip_address="10.0.0.21")[1]["floatingip"]
    assert tied["fixed_ip_address"] == "10.0.0.21"
    world.ask("member@p1", "PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": wishes[:1]}})
    assert world.ask("member@p1", "GET", f"/floatingips/{floating['id']}")[1]["floatingip"]["port_id"] is None


def test_a_port_that_no_router_reaches_gets_none(world: World, place: dict[str, Any]) -> None:
    network, _ = world.lan("10.5.0.0/24")
    port = world.make("port", network_id=network["id"])
    body = {"floatingip": {"floating_network_id": place["outside"], "port_id": port["id"]}}
    assert kind(world.ask("member@p1", "POST", "/floatingips", body)) == (404, "ExternalGatewayForFloatingIPNotFound")
    assert world.ask("admin@p0", "GET", "/ports?device_owner=network:floatingip")[1]["ports"] == []


def test_what_is_refused(world: World, place: dict[str, Any]) -> None:
    def ask(who: str = "member@p1", **values: Any) -> tuple[int, Any]:
        body = {"floatingip": {"floating_network_id": place["outside"], **values}}
        answer: tuple[int, Any] = world.ask(who, "POST", "/floatingips", body)
        return answer

    assert kind(ask(floating_network_id=place["network"])) == (400, "BadRequest")
    assert kind(ask(fixed_ip_address="10.0.0.3")) == (400, "BadRequest")
    assert ask(floating_ip_address="192.0.2.50")[0] == 403
    assert ask("member@p2", port_id=place["ports"][0])[0] == 404
    assert ask("admin@p0", floating_ip_address="192.0.2.50")[1]["floatingip"]["floating_ip_address"] == "192.0.2.50"
    assert kind(ask("admin@p0", floating_ip_address="192.0.2.50")) == (409, "IpAddressAlreadyAllocated")


def test_a_deleted_one_gives_its_address_back(world: World, place: dict[str, Any]) -> None:
    made = world.make("floatingip", floating_network_id=place["outside"])
    assert world.ask("member@p2", "DELETE", f"/floatingips/{made['id']}")[0] == 404
    assert world.ask("member@p1", "DELETE", f"/floatingips/{made['id']}")[0] == 204
    assert world.ask("admin@p0", "GET", "/ports?device_owner=network:floatingip")[1]["ports"] == []


def test_an_external_network_goes_with_idle_ones_only(world: World, place: dict[str, Any]) -> None:
    other = world.make("network", "admin@p0", router__external=True)
    world.make("subnet", "admin@p0", network_id=other["id"], cidr="198.51.100.0/24", ip_version=4)
    idle = world.make("floatingip", floating_network_id=other["id"])
    assert world.ask("admin@p0", "DELETE", f"/networks/{other['id']}")[0] == 204
    assert world.ask("member@p1", "GET", f"/floatingips/{idle['id']}")[0] == 404
    world.make("floatingip", floating_network_id=place["outside"], port_id=place["ports"][0])
    assert kind(world.ask("admin@p0", "DELETE", f"/networks/{place['outside']}")) == (409, "NetworkInUse")


def test_they_are_found_by_port_address_and_router(world: World, place: dict[str, Any]) -> None:
    made = world.make("floatingip", floating_network_id=place["outside"], port_id=place["ports"][0])
    world.make("floatingip", floating_network_id=place["outside"])
    for query in (f"port_id={place['ports'][0]}", f"floating_ip_address={made['floating_ip_address']}",
                  f"router_id={place['router']}", "status=ACTIVE", "fixed_ip_address=10.0.0.3"):
        assert [one["id"] for one in world.ask("member@p1", "GET", f"/floatingips?{query}")[1]["floatingips"]] == [made["id"]], query
