"""Subnet pools and address scopes as clients see them."""
from __future__ import annotations

from typing import Any

import pytest

World = Any


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def cut(world: World, **values: Any) -> tuple[int, Any]:
    """A subnet on a network of its own."""
    body = {"network_id": world.make("network")["id"], "ip_version": 4, **values}
    answer: tuple[int, Any] = world.ask("member@p1", "POST", "/subnets", {"subnet": body})
    return answer


def test_a_pool_knows_its_lengths(world: World) -> None:
    pool = world.make("subnetpool", name="p", prefixes=["10.0.1.0/24", "10.0.0.0/24"], min_prefixlen="26")
    assert pool["prefixes"] == ["10.0.0.0/23"] and pool["ip_version"] == 4
    assert (pool["min_prefixlen"], pool["max_prefixlen"], pool["default_prefixlen"]) == ("26", "32", "26")
    assert pool["shared"] is False and pool["is_default"] is False and pool["address_scope_id"] is None


def test_subnets_are_cut_one_after_the_other(world: World) -> None:
    pool = world.make("subnetpool", name="p", prefixes=["10.0.0.0/24"], default_prefixlen=26, min_prefixlen=24)["id"]
    cidrs = [cut(world, subnetpool_id=pool)[1]["subnet"]["cidr"] for _ in range(2)]
    assert cidrs == ["10.0.0.0/26", "10.0.0.64/26"]
    assert cut(world, subnetpool_id=pool, prefixlen=25)[1]["subnet"]["cidr"] == "10.0.0.128/25"
    assert kind(cut(world, subnetpool_id=pool)) == (409, "SubnetAllocationError")
    assert kind(world.ask("member@p1", "DELETE", f"/subnetpools/{pool}")) == (409, "SubnetPoolDeleteError")


def test_wishes_are_met_inside_the_pool_only(world: World) -> None:
    pool = world.make("subnetpool", name="p", prefixes=["10.0.0.0/16"], min_prefixlen=20, max_prefixlen=28)["id"]
    made = cut(world, subnetpool_id=pool, cidr="10.0.16.0/24")[1]["subnet"]
    assert made["subnetpool_id"] == pool and made["gateway_ip"] == "10.0.16.1"
    assert kind(cut(world, subnetpool_id=pool, cidr="10.0.16.128/25")) == (409, "SubnetAllocationError")
    assert kind(cut(world, subnetpool_id=pool, cidr="10.9.0.0/24")) == (409, "SubnetAllocationError")
    assert kind(cut(world, subnetpool_id=pool, prefixlen=16)) == (400, "MinPrefixSubnetAllocationError")
    assert kind(cut(world, subnetpool_id=pool, prefixlen=30)) == (400, "MaxPrefixSubnetAllocationError")
    assert kind(cut(world, subnetpool_id=pool, prefixlen=24, cidr="10.0.17.0/24")) == (400, "InvalidInput")
    assert kind(cut(world)) == (400, "BadRequest")
    assert kind(cut(world, subnetpool_id="0" * 32)) == (404, "SubnetPoolNotFound")


def test_subnets_of_a_network_come_from_one_pool(world: World) -> None:
    pool = world.make("subnetpool", name="p", prefixes=["10.5.0.0/16"], min_prefixlen=24)["id"]
    network, _ = world.lan()
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool}}
    assert kind(world.ask("member@p1", "POST", "/subnets", body)) == (400, "NetworkSubnetPoolAffinityError")


def test_a_pools_quota_counts_addresses_of_a_project(world: World) -> None:
    pool = world.make("subnetpool", name="p", prefixes=["10.0.0.0/16"], min_prefixlen=24, default_quota=512)["id"]
    assert [cut(world, subnetpool_id=pool)[0] for _ in range(3)] == [201, 201, 409]


@pytest.mark.parametrize("values, error", [
    ({"prefixes": []}, (400, "EmptySubnetPoolPrefixList")), ({"prefixes": ["10.0.0.0/8", "2001:db8::/32"]}, (400, "PrefixVersionMismatch")),
    ({"prefixes": ["ten"]}, (400, "InvalidInput")), ({"min_prefixlen": 28, "max_prefixlen": 24}, (400, "IllegalSubnetPoolPrefixBounds")),
    ({"default_prefixlen": 4}, (400, "IllegalSubnetPoolPrefixBounds")), ({"max_prefixlen": 64}, (400, "IllegalSubnetPoolPrefixBounds")),
])
def test_what_makes_no_sense_is_refused(world: World, values: dict[str, Any], error: tuple[int, str]) -> None:
    body = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/16"], **values}}
    assert kind(world.ask("member@p1", "POST", "/subnetpools", body)) == error


def test_a_pool_only_grows(world: World) -> None:
    path = f"/subnetpools/{world.make('subnetpool', name='p', prefixes=['10.0.0.0/24'])['id']}"
    grown = world.ask("member@p1", "PUT", path, {"subnetpool": {"prefixes": ["10.0.0.0/16"]}})[1]["subnetpool"]
    assert grown["prefixes"] == ["10.0.0.0/16"]
    shrunk = {"subnetpool": {"prefixes": ["10.0.0.0/24"]}}
    assert kind(world.ask("member@p1", "PUT", path, shrunk)) == (400, "IllegalSubnetPoolPrefixUpdate")
    assert world.ask("member@p1", "PUT", path, {"subnetpool": {"shared": True}})[0] == 400


def test_shared_and_default_pools_are_administrators_business(world: World) -> None:
    for attribute in ("shared", "is_default"):
        body = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/16"], attribute: True}}
        assert world.ask("member@p1", "POST", "/subnetpools", body)[0] == 403
    own = world.make("subnetpool", "admin@p0", name="own", prefixes=["10.8.0.0/16"])
    assert world.ask("member@p1", "GET", f"/subnetpools/{own['id']}")[0] == 404
    assert kind(cut(world, use_default_subnetpool=True)) == (400, "InvalidInput")
    world.make("subnetpool", "admin@p0", name="all", prefixes=["10.9.0.0/16"], shared=True, is_default=True, default_prefixlen=24)
    assert cut(world, use_default_subnetpool=True)[1]["subnet"]["cidr"] == "10.9.0.0/24"
    twin = {"subnetpool": {"name": "p", "prefixes": ["10.7.0.0/16"], "is_default": True}}
    assert world.ask("admin@p0", "POST", "/subnetpools", twin)[0] == 400


def test_pools_of_a_scope_do_not_overlap(world: World) -> None:
    scope = world.make("address_scope", name="s", ip_version=4)["id"]
    pool = world.make("subnetpool", name="p", prefixes=["10.0.0.0/16"], address_scope_id=scope, default_prefixlen=24)
    body = {"subnetpool": {"name": "q", "prefixes": ["10.0.5.0/24"], "address_scope_id": scope}}
    assert kind(world.ask("member@p1", "POST", "/subnetpools", body)) == (409, "AddressScopePrefixConflict")
    six = {"subnetpool": {"name": "q", "prefixes": ["2001:db8::/48"], "address_scope_id": scope}}
    assert kind(world.ask("member@p1", "POST", "/subnetpools", six)) == (400, "IllegalSubnetPoolAssociationToAddressScope")
    network = cut(world, subnetpool_id=pool["id"])[1]["subnet"]["network_id"]
    assert world.ask("member@p1", "GET", f"/networks/{network}")[1]["network"]["ipv4_address_scope"] == scope
    assert kind(world.ask("member@p1", "DELETE", f"/address-scopes/{scope}")) == (409, "AddressScopeInUse")
    assert world.ask("member@p1", "PUT", f"/subnetpools/{pool['id']}", {"subnetpool": {"address_scope_id": None}})[0] == 200
    assert world.ask("member@p2", "GET", f"/address-scopes/{scope}")[0] == 404
    assert world.ask("member@p1", "PUT", f"/address-scopes/{scope}", {"address_scope": {"name": "t"}})[1]["address_scope"]["name"] == "t"
    assert world.ask("member@p1", "DELETE", f"/address-scopes/{scope}")[0] == 204
