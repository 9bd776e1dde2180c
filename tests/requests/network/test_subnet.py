"""Subnets as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


def refused(world: World, **values: Any) -> tuple[int, str]:
    """(status, error type) of a subnet that is not made."""
    network = values.pop("network_id", None) or world.make("network")["id"]
    body = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24", **values}
    status, answer = world.ask("member@p1", "POST", "/subnets", {"subnet": body})
    return status, answer["NeutronError"]["type"]


def test_gateway_and_pools_are_filled_in(world: World) -> None:
    _, subnet = world.lan("10.0.0.0/24")
    assert subnet["gateway_ip"] == "10.0.0.1" and subnet["enable_dhcp"] is True
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]


def test_a_subnet_may_have_no_gateway(world: World) -> None:
    _, subnet = world.lan("10.0.0.0/29", gateway_ip=None)
    assert subnet["gateway_ip"] is None and subnet["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.6"}]


def test_a_gateway_in_the_middle_splits_the_pool(world: World) -> None:
    _, subnet = world.lan("10.0.0.0/29", gateway_ip="10.0.0.3")
    assert subnet["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.2"}, {"start": "10.0.0.4", "end": "10.0.0.6"}]


def test_host_bits_are_cleared(world: World) -> None:
    assert world.lan("10.0.0.77/24")[1]["cidr"] == "10.0.0.0/24"


def test_ipv6_has_no_broadcast_address(world: World) -> None:
    _, subnet = world.lan("2001:db8::/64")
    assert subnet["gateway_ip"] == "2001:db8::1"
    assert subnet["allocation_pools"] == [{"start": "2001:db8::2", "end": "2001:db8::ffff:ffff:ffff:ffff"}]


@pytest.mark.parametrize("values, kind", [
    ({"cidr": "2001:db8::/64"}, "InvalidInput"), ({"cidr": "224.0.0.0/24"}, "InvalidInput"), ({"cidr": "0.0.0.0/0"}, "InvalidInput"),
    ({"ip_version": 5}, "InvalidInput"), ({"gateway_ip": "2001:db8::1"}, "InvalidInput"), ({"gateway_ip": "10.0.0.0"}, "InvalidInput"),
    ({"gateway_ip": "10.0.0.255"}, "InvalidInput"), ({"dns_nameservers": ["2001:db8::1"]}, "InvalidInput"),
    ({"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, "InvalidInput"), ({"ipv6_ra_mode": "slaac"}, "InvalidInput"),
    ({"dns_nameservers": [f"9.9.9.{n}" for n in range(6)]}, "DNSNameServersExhausted"),
    ({"host_routes": [{"destination": f"10.{n}.0.0/16", "nexthop": "10.0.0.2"} for n in range(21)]}, "HostRoutesExhausted"),
    ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, "InvalidAllocationPool"),
    ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.5"}]}, "OutOfBoundsAllocationPool"),
    ({"ip_version": 6, "cidr": "2001:db8::/80", "ipv6_address_mode": "slaac"}, "InvalidInput"),
    ({"ip_version": 6, "cidr": "2001:db8::/64", "ipv6_address_mode": "slaac", "ipv6_ra_mode": "dhcpv6-stateful"}, "InvalidInput"),
    ({"ip_version": 6, "cidr": "2001:db8::/64", "ipv6_address_mode": "slaac", "enable_dhcp": False}, "InvalidInput"),
])
def test_what_makes_no_sense_is_refused(world: World, values: dict[str, Any], kind: str) -> None:
    assert refused(world, **values) == (400, kind)


@pytest.mark.parametrize("values, kind", [
    ({"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.5"}]}, "GatewayConflictWithAllocationPools"),
    ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.5"}, {"start": "10.0.0.5", "end": "10.0.0.9"}]},
     "OverlappingAllocationPools"),
])
def test_pools_do_not_conflict(world: World, values: dict[str, Any], kind: str) -> None:
    assert refused(world, **values) == (409, kind)


def test_subnets_of_a_network_do_not_overlap(world: World) -> None:
    network, _ = world.lan("10.0.0.0/24")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.128/25"}}
    status, answer = world.ask("member@p1", "POST", "/subnets", body)
    assert status == 400 and "overlaps with another subnet" in answer["NeutronError"]["message"]  # Tempest reads this
    world.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.1.0/24")
    world.lan("10.0.0.0/24")  # another network may use the same block


def test_only_a_networks_owner_puts_subnets_on_it(world: World) -> None:
    network = world.make("network", "admin@p0", shared=True)
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}}
    assert world.ask("member@p1", "POST", "/subnets", body)[0] == 403
    assert world.ask("member@p1", "POST", "/subnets", {"subnet": {**body["subnet"], "network_id": "0" * 32}})[0] == 404


def test_dhcp_has_a_port_that_comes_and_goes_with_it(world: World) -> None:
    def own_ports() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = world.ask("admin@p0", "GET", "/ports?device_owner=network:distributed")[1]["ports"]
        return found

    network, subnet = world.lan("10.0.0.0/24")
    second = world.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.1.0/24")
    port, = own_ports()
    assert port["device_id"] == f"ovnmeta-{network['id']}"
    assert [ip["ip_address"] for ip in port["fixed_ips"]] == ["10.0.0.2", "10.0.1.2"]
    world.ask("member@p1", "PUT", f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}})
    assert [ip["ip_address"] for ip in own_ports()[0]["fixed_ips"]] == ["10.0.1.2"]
    assert world.ask("member@p1", "DELETE", f"/subnets/{second['id']}")[0] == 204
    assert own_ports() == []
    world.ask("member@p1", "PUT", f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True}})
    assert len(own_ports()[0]["fixed_ips"]) == 1


def test_machines_come_before_dhcp_in_a_full_subnet(world: World) -> None:
    network, subnet = world.lan("10.0.0.0/30", enable_dhcp=False)
    assert world.make("port", network_id=network["id"])["fixed_ips"][0]["ip_address"] == "10.0.0.2"
    assert world.ask("member@p1", "PUT", f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True}})[0] == 200
    port, = world.ask("admin@p0", "GET", "/ports?device_owner=network:distributed")[1]["ports"]
    assert port["fixed_ips"] == []


def test_a_subnet_with_addresses_in_use_stays(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"])
    status, body = world.ask("member@p1", "DELETE", f"/subnets/{subnet['id']}")
    assert (status, body["NeutronError"]["type"]) == (409, "SubnetInUse")
    world.ask("member@p1", "DELETE", f"/ports/{port['id']}")
    assert world.ask("member@p1", "DELETE", f"/subnets/{subnet['id']}")[0] == 204


def test_what_may_change(world: World) -> None:
    _, subnet = world.lan()
    path = f"/subnets/{subnet['id']}"
    changes = {"name": "n", "dns_nameservers": ["9.9.9.9"], "host_routes": [{"destination": "10.9.0.1/16", "nexthop": "10.0.0.5"}]}
    changed = world.ask("member@p1", "PUT", path, {"subnet": changes})[1]["subnet"]
    assert changed["host_routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}] and changed["dns_nameservers"] == ["9.9.9.9"]
    pools = [{"start": "10.0.0.100", "end": "10.0.0.110"}]
    assert world.ask("member@p1", "PUT", path, {"subnet": {"allocation_pools": pools}})[1]["subnet"]["allocation_pools"] == pools
    assert world.ask("member@p1", "PUT", path, {"subnet": {"cidr": "10.0.0.0/16"}})[0] == 400
    conflict = world.ask("member@p1", "PUT", path, {"subnet": {"gateway_ip": "10.0.0.105"}})
    assert conflict[1]["NeutronError"]["type"] == "GatewayConflictWithAllocationPools"


def test_a_gateway_that_a_router_has_stays(world: World) -> None:
    _, subnet = world.lan(allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}])
    router = world.make("router")
    world.ask("member@p1", "PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    status, body = world.ask("member@p1", "PUT", f"/subnets/{subnet['id']}", {"subnet": {"gateway_ip": "10.0.0.254"}})
    assert (status, body["NeutronError"]["type"]) == (409, "GatewayIpInUse")
