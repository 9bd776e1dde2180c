"""Routers, their interfaces, gateways and routes as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def put(world: World, router: dict[str, Any], verb: str, body: Any, who: str = "member@p1") -> tuple[int, Any]:
    """A verb of a router, or its update."""
    answer: tuple[int, Any] = world.ask(who, "PUT", f"/routers/{router['id']}" + (f"/{verb}" if verb else ""), body)
    return answer


def ports_of(world: World, router: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask("admin@p0", "GET", f"/ports?device_id={router['id']}")[1]["ports"]
    return found


def test_a_gateway_takes_an_address_outside(world: World) -> None:
    outside = world.outside()
    router = world.make("router", external_gateway_info={"network_id": outside["id"]})
    gateway = router["external_gateway_info"]
    assert gateway["network_id"] == outside["id"] and gateway["enable_snat"] is True
    assert [ip["ip_address"] for ip in gateway["external_fixed_ips"]] == ["192.0.2.2"]
    port, = ports_of(world, router)
    assert port["device_owner"] == "network:router_gateway" and port["project_id"] == ""
    assert world.ask("member@p1", "GET", "/ports")[1]["ports"] == []
    assert put(world, router, "", {"router": {"external_gateway_info": {}}})[1]["router"]["external_gateway_info"] is None
    assert ports_of(world, router) == []


def test_details_of_a_gateway_are_for_administrators(world: World) -> None:
    outside = world.outside()
    info = {"network_id": outside["id"]}
    fixed = info | {"external_fixed_ips": [{"ip_address": "192.0.2.99"}]}
    for wanted in (info | {"enable_snat": False}, fixed):
        assert world.ask("member@p1", "POST", "/routers", {"router": {"external_gateway_info": wanted}})[0] == 403
    router = world.make("router", "admin@p0", external_gateway_info=fixed | {"enable_snat": False})
    assert router["external_gateway_info"]["enable_snat"] is False
    assert router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "192.0.2.99"
    other = info | {"external_fixed_ips": [{"ip_address": "192.0.2.7"}]}
    moved = put(world, router, "", {"router": {"external_gateway_info": other}}, "admin@p0")
    assert moved[1]["router"]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "192.0.2.7"
    assert moved[1]["router"]["external_gateway_info"]["enable_snat"] is False
    assert len(ports_of(world, router)) == 1


def test_only_an_external_network_is_outside(world: World) -> None:
    network, _ = world.lan()
    body = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
    assert kind(world.ask("member@p1", "POST", "/routers", body)) == (400, "BadRequest")
    assert world.ask("member@p1", "GET", "/routers")[1]["routers"] == []


def test_an_interface_by_subnet_has_the_gateways_address(world: World) -> None:
    network, subnet = world.lan()
    router = world.make("router")
    status, told = put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})
    assert status == 200 and told["id"] == router["id"] and told["network_id"] == network["id"]
    assert told["subnet_id"] == subnet["id"] and told["subnet_ids"] == [subnet["id"]]
    port, = ports_of(world, router)
    assert port["id"] == told["port_id"] and port["fixed_ips"][0]["ip_address"] == "10.0.0.1"
    assert port["device_owner"] == "network:router_interface" and port["project_id"] == "p1"
    assert kind(world.ask("member@p1", "DELETE", f"/ports/{port['id']}")) == (409, "ServicePortInUse")
    assert kind(world.ask("member@p1", "DELETE", f"/routers/{router['id']}")) == (409, "RouterInUse")
    assert put(world, router, "remove_router_interface", {"subnet_id": subnet["id"]})[0] == 200
    assert ports_of(world, router) == []
    assert kind(put(world, router, "remove_router_interface", {"subnet_id": subnet["id"]})) == (404, "RouterInterfaceNotFoundForSubnet")
    assert kind(put(world, router, "remove_router_interface", {"port_id": port["id"]})) == (404, "RouterInterfaceNotFound")


def test_an_interface_by_port_takes_the_port(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    router = world.make("router")
    assert put(world, router, "add_router_interface", {"port_id": port["id"]})[0] == 200
    taken, = ports_of(world, router)
    assert taken["id"] == port["id"] and taken["security_groups"] == [] and taken["device_owner"] == "network:router_interface"
    assert kind(put(world, world.make("router"), "add_router_interface", {"port_id": port["id"]})) == (409, "PortInUse")
    assert put(world, router, "remove_router_interface", {"port_id": port["id"]})[0] == 200
    assert world.ask("member@p1", "GET", f"/ports/{port['id']}")[0] == 404


def test_what_an_interface_cannot_be(world: World) -> None:
    _, subnet = world.lan()
    network, none = world.lan("10.0.9.0/24", gateway_ip=None)
    _, twin = world.lan("10.0.0.128/25")
    bare = world.make("port", network_id=network["id"], fixed_ips=[])
    router = world.make("router")
    put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})
    for body in ({}, {"subnet_id": subnet["id"], "port_id": bare["id"]}, {"subnet_id": none["id"]}, {"subnet_id": subnet["id"]},
                 {"subnet_id": twin["id"]}, {"port_id": bare["id"]}):
        assert kind(put(world, router, "add_router_interface", body)) == (400, "BadRequest"), body
    assert put(world, router, "add_router_interface", {"subnet_id": "0" * 32})[0] == 404
    assert put(world, router, "add_router_interface", {"port_id": "no id"})[0] == 400
    assert put(world, router, "add_router_interface", {"subnet_id": subnet["id"]}, "member@p2")[0] == 404


def test_ipv6_subnets_of_a_network_share_one_port(world: World) -> None:
    network, first = world.lan("2001:db8:0:1::/64")
    second = world.make("subnet", network_id=network["id"], ip_version=6, cidr="2001:db8:0:2::/64")
    router = world.make("router")
    for subnet in (first, second): assert put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})[0] == 200
    port, = ports_of(world, router)
    assert [ip["ip_address"] for ip in port["fixed_ips"]] == ["2001:db8:0:1::1", "2001:db8:0:2::1"]
    assert put(world, router, "remove_router_interface", {"subnet_id": first["id"]})[1]["subnet_ids"] == [first["id"]]
    port, = ports_of(world, router)
    assert [ip["ip_address"] for ip in port["fixed_ips"]] == ["2001:db8:0:2::1"]


def test_a_router_keeps_what_floating_ips_need(world: World) -> None:
    outside = world.outside()
    network, subnet = world.lan()
    router = world.make("router", external_gateway_info={"network_id": outside["id"]})
    put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})
    port = world.make("port", network_id=network["id"])
    world.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    assert kind(put(world, router, "remove_router_interface", {"subnet_id": subnet["id"]})) == (409, "RouterInterfaceInUseByFloatingIP")
    assert kind(put(world, router, "", {"router": {"external_gateway_info": None}})) == (409, "RouterExternalGatewayInUseByFloatingIp")


def test_routes_lead_to_neighbours(world: World) -> None:
    _, subnet = world.lan()
    router = world.make("router")
    put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})
    good = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}]
    assert put(world, router, "", {"router": {"routes": good}})[1]["router"]["routes"] == good
    for route in ({"destination": "10.9.0.0/16", "nexthop": "10.7.0.5"}, {"destination": "10.9.0.0/16", "nexthop": "10.0.0.1"},
                  {"destination": "there", "nexthop": "10.0.0.5"}, {"destination": "2001:db8::/64", "nexthop": "10.0.0.5"}):
        assert kind(put(world, router, "", {"router": {"routes": [route]}})) == (400, "InvalidRoutes"), route
    many = [{"destination": f"10.{n}.0.0/16", "nexthop": "10.0.0.5"} for n in range(31)]
    assert kind(put(world, router, "", {"router": {"routes": many}})) == (400, "RoutesExhausted")
    assert kind(put(world, router, "remove_router_interface", {"subnet_id": subnet["id"]})) == (409, "RouterInterfaceInUseByRoute")


def test_routes_are_added_and_removed_like_sets(world: World) -> None:
    _, subnet = world.lan()
    router = world.make("router")
    put(world, router, "add_router_interface", {"subnet_id": subnet["id"]})
    one, two = ({"destination": f"10.{n}.0.0/16", "nexthop": "10.0.0.5"} for n in (8, 9))
    assert put(world, router, "add_extraroutes", {"router": {"routes": [one]}})[1]["router"]["routes"] == [one]
    assert put(world, router, "add_extraroutes", {"router": {"routes": [one, two]}})[1]["router"]["routes"] == [one, two]
    assert put(world, router, "remove_extraroutes", {"router": {"routes": [one]}})[1]["router"]["routes"] == [two]
    assert put(world, router, "remove_extraroutes", {"router": {"routes": [one]}})[0] == 200
    assert put(world, router, "add_extraroutes", {"router": {"routes": [one]}}, "member@p2")[0] == 404


@pytest.mark.parametrize("who, status", [("member@p2", 404), ("reader@p1", 403), ("admin@p0", 200)])
def test_routers_belong_to_their_project(world: World, who: str, status: int) -> None:
    assert put(world, world.make("router"), "", {"router": {"name": "x"}}, who)[0] == status


def test_a_router_goes_with_its_gateway(world: World) -> None:
    outside = world.outside()
    router = world.make("router", external_gateway_info={"network_id": outside["id"]})
    assert kind(world.ask("admin@p0", "DELETE", f"/networks/{outside['id']}"))[0] == 409
    assert world.ask("member@p1", "DELETE", f"/routers/{router['id']}")[0] == 204
    assert world.ask("admin@p0", "DELETE", f"/networks/{outside['id']}")[0] == 204
