"""Ports as clients see them."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

World = Any


def addresses(port: dict[str, Any]) -> list[str]:
    return [ip["ip_address"] for ip in port["fixed_ips"]]


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def test_a_new_port_gets_mac_address_and_group(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"])
    assert port["mac_address"].startswith("fa:16:3e:") and port["status"] == "DOWN"
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.3"}]
    default, = world.ask("member@p1", "GET", "/security-groups")[1]["security_groups"]
    assert port["security_groups"] == [default["id"]] and port["port_security_enabled"] is True
    assert port["binding:vnic_type"] == "normal" and "binding:host_id" not in port


def test_addresses_come_one_after_the_other_and_return(world: World) -> None:
    network, _ = world.lan("10.0.0.0/29")  # .1 gateway, .2 DHCP, .3 to .6 for ports
    ports = [world.make("port", network_id=network["id"]) for _ in range(4)]
    assert [addresses(port)[0] for port in ports] == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    assert kind(world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"]}})) == (409, "IpAddressGenerationFailure")
    world.ask("member@p1", "DELETE", f"/ports/{ports[1]['id']}")
    assert addresses(world.make("port", network_id=network["id"])) == ["10.0.0.4"]


def test_a_network_without_subnets_gives_no_addresses(world: World) -> None:
    assert world.make("port", network_id=world.make("network")["id"])["fixed_ips"] == []


def test_one_address_of_each_family(world: World) -> None:
    network, _ = world.lan()
    world.make("subnet", network_id=network["id"], ip_version=6, cidr="2001:db8::/64")
    assert addresses(world.make("port", network_id=network["id"])) == ["10.0.0.3", "2001:db8::2"]


def test_slaac_addresses_follow_the_mac(world: World) -> None:
    network, _ = world.lan()
    early = world.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    world.make("subnet", network_id=network["id"], ip_version=6, cidr="2001:db8::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    assert addresses(world.ask("member@p1", "GET", f"/ports/{early['id']}")[1]["port"])[1] == "2001:db8::f816:3eff:fe00:1"
    late = world.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:02")
    assert addresses(late)[1] == "2001:db8::f816:3eff:fe00:2"
    moved = world.ask("member@p1", "PUT", f"/ports/{late['id']}", {"port": {"mac_address": "fa:16:3e:00:00:03"}})[1]["port"]
    assert addresses(moved) == [addresses(late)[0], "2001:db8::f816:3eff:fe00:3"]


def test_wished_for_addresses(world: World) -> None:
    network, subnet = world.lan()
    assert addresses(world.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.50"}])) == ["10.0.0.50"]
    both = world.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}, {"subnet_id": subnet["id"]}])
    assert addresses(both) == ["10.0.0.3", "10.0.0.4"]
    assert world.make("port", network_id=network["id"], fixed_ips=[])["fixed_ips"] == []


@pytest.mark.parametrize("wish, expected", [
    ({"ip_address": "10.0.0.2"}, (409, "IpAddressAlreadyAllocated")), ({"ip_address": "10.9.0.2"}, (400, "InvalidIpForNetwork")),
    ({"ip_address": "10.0.0.255"}, (400, "InvalidIpForNetwork")),
    ({"subnet_id": "SUBNET", "ip_address": "10.9.0.2"}, (400, "InvalidIpForSubnet")),
    ({"subnet_id": "0" * 32}, (400, "InvalidInput")), ({}, (400, "InvalidInput")), ({"ip_address": "ten"}, (400, "InvalidInput")),
])
def test_wishes_that_cannot_be_met(world: World, wish: dict[str, str], expected: tuple[int, str]) -> None:
    network, subnet = world.lan()
    wish = {name: value.replace("SUBNET", subnet["id"]) for name, value in wish.items()}
    assert kind(world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"], "fixed_ips": [wish]}})) == expected


def test_a_refused_port_leaves_nothing_behind(world: World) -> None:
    network, _ = world.lan("10.0.0.0/29")
    for _ in range(6):
        wishes = [{"ip_address": "10.0.0.5"}, {"ip_address": "10.0.0.2"}]
        assert world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"], "fixed_ips": wishes}})[0] == 409
    assert addresses(world.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.5"}])) == ["10.0.0.5"]


def test_no_address_is_given_twice_however_many_ask(world: World) -> None:
    network, _ = world.lan("10.0.0.0/26")  # 62 less gateway and DHCP: 60

    def ask(number: int) -> tuple[int, Any]:
        body = {"network_id": network["id"]} | ({"fixed_ips": [{"ip_address": "10.0.0.40"}]} if number % 5 == 0 else {})
        answer: tuple[int, Any] = world.ask("member@p1", "POST", "/ports", {"port": body})
        return answer

    with ThreadPoolExecutor(8) as threads: answers = list(threads.map(ask, range(100)))
    given = [addresses(body["port"])[0] for status, body in answers if status == 201]
    assert len(given) == len(set(given)) == 60
    assert {status for status, _ in answers} == {201, 409}


def test_changed_addresses(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"])
    path = f"/ports/{port['id']}"
    wishes = [{"ip_address": "10.0.0.3"}, {"ip_address": "10.0.0.9"}]
    assert addresses(world.ask("member@p1", "PUT", path, {"port": {"fixed_ips": wishes}})[1]["port"]) == ["10.0.0.3", "10.0.0.9"]
    kept = world.ask("member@p1", "PUT", path, {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}]}})[1]["port"]
    assert addresses(kept) == ["10.0.0.3"]
    assert addresses(world.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.9"}])) == ["10.0.0.9"]
    assert world.ask("member@p1", "PUT", path, {"port": {"fixed_ips": []}})[1]["port"]["fixed_ips"] == []


def test_macs_are_unique_on_a_network(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"], mac_address="FA:16:3E:00:00:01")
    assert port["mac_address"] == "fa:16:3e:00:00:01"
    twin = {"port": {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"}}
    assert kind(world.ask("member@p1", "POST", "/ports", twin)) == (409, "MacAddressInUse")


def test_groups_security_and_pairs_depend_on_each_other(world: World) -> None:
    network, _ = world.lan()
    group = world.make("security_group", name="web")
    port = world.make("port", network_id=network["id"], security_groups=[group["id"]], allowed_address_pairs=[{"ip_address": "10.0.0.99"}])
    assert port["allowed_address_pairs"] == [{"ip_address": "10.0.0.99", "mac_address": port["mac_address"]}]
    path = f"/ports/{port['id']}"
    off = {"port_security_enabled": False}
    assert kind(world.ask("member@p1", "PUT", path, {"port": off})) == (409, "PortSecurityPortHasSecurityGroup")
    assert kind(world.ask("member@p1", "PUT", path, {"port": off | {"security_groups": []}})) == (409, "AddressPairAndPortSecurityRequired")
    bare = world.ask("member@p1", "PUT", path, {"port": off | {"security_groups": [], "allowed_address_pairs": []}})[1]["port"]
    assert bare["port_security_enabled"] is False and bare["security_groups"] == []
    back = {"port": {"security_groups": [group["id"]]}}
    assert kind(world.ask("member@p1", "PUT", path, back)) == (400, "PortSecurityAndIPRequiredForSecurityGroups")
    open_port = {"network_id": network["id"], "port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.0.0.99"}]}
    assert kind(world.ask("member@p1", "POST", "/ports", {"port": open_port})) == (409, "AddressPairAndPortSecurityRequired")


def test_groups_of_others_cannot_be_used(world: World) -> None:
    network, _ = world.lan()
    foreign = world.make("security_group", "member@p2", name="web")
    body = {"port": {"network_id": network["id"], "security_groups": [foreign["id"]]}}
    assert kind(world.ask("member@p1", "POST", "/ports", body)) == (404, "SecurityGroupNotFound")


def test_on_shared_networks_only_the_owner_says_who_one_is(world: World) -> None:
    network, _ = world.lan(who="admin@p0")
    world.ask("admin@p0", "PUT", f"/networks/{network['id']}", {"network": {"shared": True}})
    for attribute in ({"mac_address": "fa:16:3e:00:00:01"}, {"fixed_ips": [{"ip_address": "10.0.0.50"}]}, {"port_security_enabled": False},
                      {"allowed_address_pairs": [{"ip_address": "10.0.0.1"}]}, {"device_owner": "network:dhcp"}):
        assert world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"], **attribute}})[0] == 403, attribute
    assert world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"], "device_owner": "compute:nova"}})[0] == 201


def test_the_owner_of_a_network_may_delete_ports_of_others_there(world: World) -> None:
    network, _ = world.lan(who="member@p1")
    world.ask("admin@p0", "PUT", f"/networks/{network['id']}", {"network": {"shared": True}})
    port = world.make("port", "member@p2", network_id=network["id"])
    assert world.ask("member@p1", "GET", f"/ports/{port['id']}")[0] == 200
    assert world.ask("member@p1", "PUT", f"/ports/{port['id']}", {"port": {"name": "mine"}})[0] == 403
    assert world.ask("member@p3", "DELETE", f"/ports/{port['id']}")[0] == 404
    assert world.ask("member@p1", "DELETE", f"/ports/{port['id']}")[0] == 204


def test_binding_is_for_administrators_and_agents(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    path = f"/ports/{port['id']}"
    assert world.ask("member@p1", "PUT", path, {"port": {"binding:host_id": "h1"}})[0] == 403
    bound = world.ask("admin@p0", "PUT", path, {"port": {"binding:host_id": "h1"}})[1]["port"]
    assert bound["binding:vif_type"] == "ovs" and bound["binding:vif_details"]["host"] == "h1"
    assert [found["id"] for found in world.ask("admin@p0", "GET", "/ports?binding:host_id=h1")[1]["ports"]] == [port["id"]]
    failed = world.ask("admin@p0", "PUT", path, {"port": {"binding:host_id": "unknown"}})[1]["port"]
    assert failed["binding:vif_type"] == "binding_failed"
    unbound = world.ask("admin@p0", "PUT", path, {"port": {"binding:host_id": ""}})[1]["port"]
    assert unbound["binding:vif_type"] == "unbound"


def test_a_bound_port_keeps_its_mac(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    world.ask("admin@p0", "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    assert kind(world.ask("member@p1", "PUT", f"/ports/{port['id']}", {"port": {"mac_address": "fa:16:3e:00:00:09"}})) == (409, "PortBound")


def test_dhcp_options_are_merged_by_name(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"], extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"},
                                                                       {"opt_name": "ntp-server", "opt_value": "10.0.0.9"}])
    changes = [{"opt_name": "mtu", "opt_value": None}, {"opt_name": "domain-name", "opt_value": "x"}]
    changed = world.ask("member@p1", "PUT", f"/ports/{port['id']}", {"port": {"extra_dhcp_opts": changes}})[1]["port"]
    assert sorted(option["opt_name"] for option in changed["extra_dhcp_opts"]) == ["domain-name", "ntp-server"]


def test_ports_are_found_by_address_subnet_device_and_group(world: World) -> None:
    network, subnet = world.lan()
    port = world.make("port", network_id=network["id"], device_id="vm", device_owner="compute:nova")
    other = world.make("port", network_id=network["id"])

    def found(query: str) -> set[str]:
        return {found["id"] for found in world.ask("member@p1", "GET", f"/ports?{query}")[1]["ports"]} & {port["id"], other["id"]}

    assert found("fixed_ips=ip_address=10.0.0.3") == {port["id"]}
    assert found("fixed_ips=ip_address%3D10.0.0.3&fixed_ips=ip_address%3D10.0.0.4") == {port["id"], other["id"]}
    assert found(f"fixed_ips=subnet_id={subnet['id']}&fixed_ips=ip_address=10.0.0.4") == {other["id"]}
    assert found("fixed_ips=ip_address_substr=.0.4") == {other["id"]}
    assert found("device_id=vm") == found("device_owner=compute:nova") == {port["id"]}
    assert found(f"security_groups={port['security_groups'][0]}") == {port["id"], other["id"]}
    assert found("status=ACTIVE") == set()


def test_a_deleted_port_frees_its_floating_ip(world: World) -> None:
    outside = world.outside()
    network, subnet = world.lan()
    router = world.make("router", external_gateway_info={"network_id": outside["id"]})
    world.ask("member@p1", "PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    port = world.make("port", network_id=network["id"])
    floating = world.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    assert world.ask("member@p1", "DELETE", f"/ports/{port['id']}")[0] == 204
    left = world.ask("member@p1", "GET", f"/floatingips/{floating['id']}")[1]["floatingip"]
    assert (left["port_id"], left["router_id"], left["status"]) == (None, None, "DOWN")


def test_quota_is_heeded(world: World) -> None:
    network, _ = world.lan()  # DHCP's port counts
    world.ask("admin@p0", "PUT", "/quotas/p1", {"quota": {"port": 2}})
    world.make("port", network_id=network["id"])
    assert kind(world.ask("member@p1", "POST", "/ports", {"port": {"network_id": network["id"]}})) == (409, "OverQuota")


def test_explanations_come_from_the_backend(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    path = f"/ports/{port['id']}/explain"
    told = world.ask("member@p1", "GET", path + "?to=10.0.0.9&protocol=tcp&port=22")[1]["explanation"]
    assert told == {"passes": True, "reason": f"{port['id']} 10.0.0.9 tcp 22", "rule_id": None, "trace": ""}
    assert world.ask("admin@p0", "GET", path + "?to=10.0.0.9")[1]["explanation"]["trace"] == "secret"
    assert world.ask("member@p1", "GET", path + "?to=there")[0] == 400
    assert world.ask("member@p1", "GET", path + "?to=10.0.0.9&port=x")[0] == 400
    assert world.ask("member@p2", "GET", path + "?to=10.0.0.9")[0] == 404


def test_nobody_plugs_a_network_into_anothers_router(world: World) -> None:
    theirs, mine = world.make("router", who="member@p2"), world.make("router")
    network, _ = world.lan()
    claim = {"network_id": network["id"], "device_owner": "network:router_interface", "device_id": theirs["id"]}
    for owner in ("network:router_interface", "network:router_gateway"):
        refused = world.ask("member@p1", "POST", "/ports", {"port": claim | {"device_owner": owner}})
        assert kind(refused) == (409, "DeviceIDNotOwnedByTenant")
    port = world.make("port", **claim | {"device_id": mine["id"]})
    moved = world.ask("member@p1", "PUT", f"/ports/{port['id']}", {"port": {"device_id": theirs["id"]}})
    assert kind(moved) == (409, "DeviceIDNotOwnedByTenant")
    later = world.make("port", network_id=network["id"], device_id=theirs["id"])
    assert kind(world.ask("member@p1", "PUT", f"/ports/{later['id']}", {"port": {"device_owner": "network:router_interface"}})) == (
        409, "DeviceIDNotOwnedByTenant")
