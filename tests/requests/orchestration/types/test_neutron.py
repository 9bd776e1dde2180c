"""Resource types of the network service: made, changed in place, ended."""
from __future__ import annotations

from typing import Any

import pytest
from tests.requests.orchestration.types.conftest import Bench

from pilvi.orchestration.types import type_of
from pilvi.orchestration.types.interface import PropertyInvalid, take_all

NET, SUBNET, PORT, ROUTER = "OS::Neutron::Net", "OS::Neutron::Subnet", "OS::Neutron::Port", "OS::Neutron::Router"
LEG, FLOATING, GROUP = "OS::Neutron::RouterInterface", "OS::Neutron::FloatingIP", "OS::Neutron::SecurityGroup"


@pytest.fixture
def outside(admin: Bench) -> Any:
    """An external network."""
    net = admin.make("OS::Neutron::ProviderNet", "outside", name="outside", network_type="flat", physical_network="external",
                     router_external=True, shared=False)
    subnet = admin.make(SUBNET, network=net.physical_id, cidr="192.0.2.0/24", enable_dhcp=False)
    yield net
    admin.end(SUBNET, subnet)
    admin.end("OS::Neutron::ProviderNet", net)


def test_net(demo: Bench) -> None:
    net = demo.make(NET, "inner", tags=["a"], mtu=1400, value_specs={"description": "words"})
    shown = demo.get(NET, net, "show")
    assert (shown["name"], shown["mtu"], shown["tags"], shown["description"]) == (net.physical_name, 1400, ["a"], "words")
    net = demo.change(NET, net, name="other", tags=["b"], mtu=1300, admin_state_up=False)
    shown = demo.get(NET, net, "show")
    assert (shown["name"], shown["mtu"], shown["tags"], shown["admin_state_up"]) == ("other", 1300, ["b"], False)
    net = demo.change(NET, net, mtu=1300)
    assert demo.get(NET, net, "name") == net.physical_name and demo.get(NET, net, "show")["tags"] == []
    demo.end(NET, net)
    assert demo.gone(NET, net)


def test_names_of_earlier_releases() -> None:
    taken = take_all(type_of(PORT).properties, {"network_id": "n", "fixed_ips": [{"subnet_id": "s"}]})
    assert taken["network"] == "n" and taken["fixed_ips"][0]["subnet"] == "s"
    with pytest.raises(PropertyInvalid): take_all(type_of(PORT).properties, {"network": "n", "nothing": 1})


def test_subnet_and_port(demo: Bench) -> None:
    net = demo.make(NET, "lan")
    subnet = demo.make(SUBNET, network=net.physical_name, cidr="10.7.0.0/24", gateway_ip="", dns_nameservers=["192.0.2.53"])
    assert demo.get(SUBNET, subnet, "gateway_ip") is None
    subnet = demo.change(SUBNET, subnet, network=net.physical_name, cidr="10.7.0.0/24", gateway_ip="10.7.0.9", enable_dhcp=False,
                         allocation_pools=[{"start": "10.7.0.10", "end": "10.7.0.99"}],
                         host_routes=[{"destination": "10.8.0.0/24", "nexthop": "10.7.0.8"}])
    shown = demo.get(SUBNET, subnet, "show")
    assert (shown["gateway_ip"], shown["enable_dhcp"], shown["dns_nameservers"]) == ("10.7.0.9", False, [])
    given = {"network": net.physical_id, "fixed_ips": [{"subnet": subnet.physical_name, "ip_address": "10.7.0.50"}]}
    port = demo.make(PORT, security_groups=["default"], allowed_address_pairs=[{"ip_address": "10.7.0.60"}], tags=["card"], **given)
    shown = demo.get(PORT, port, "show")
    assert shown["fixed_ips"] == [{"subnet_id": subnet.physical_id, "ip_address": "10.7.0.50"}] and shown["tags"] == ["card"]
    assert demo.get(PORT, port, "subnets")[0]["id"] == subnet.physical_id and demo.get(PORT, port, "network")["id"] == net.physical_id
    port = demo.change(PORT, port, security_groups=[], name="card", **given)
    shown = demo.get(PORT, port, "show")
    assert (shown["security_groups"], shown["allowed_address_pairs"], shown["name"]) == ([], [], "card")
    port = demo.change(PORT, port, **given)
    assert len(demo.get(PORT, port, "security_groups")) == 1
    bare = demo.make(PORT, "bare", network=net.physical_id, no_fixed_ips=True)
    assert demo.get(PORT, bare, "fixed_ips") == []
    for work in (bare, port): demo.end(PORT, work)
    demo.end(SUBNET, subnet)
    demo.end(NET, net)


def test_router_leg_and_floating_ip(demo: Bench, outside: Any) -> None:
    net = demo.make(NET, "lan")
    subnet = demo.make(SUBNET, network=net.physical_id, cidr="10.9.0.0/24")
    router = demo.make(ROUTER, external_gateway_info={"network": "outside"})
    leg = demo.make(LEG, router=router.physical_id, subnet=subnet.physical_name)
    assert leg.physical_id == f"{router.physical_id}:subnet_id={subnet.physical_id}"
    port = demo.make(PORT, network=net.physical_id)
    floating = demo.make(FLOATING, floating_network="outside", port_id=port.physical_id)
    assert demo.get(FLOATING, floating, "floating_ip_address").startswith("192.0.2.")
    floating = demo.change(FLOATING, floating, floating_network="outside")
    assert demo.get(FLOATING, floating, "port_id") is None
    tie = demo.make("OS::Neutron::FloatingIPAssociation", floatingip_id=floating.physical_id, port_id=port.physical_id)
    assert demo.get(FLOATING, floating, "router_id") == router.physical_id
    demo.end("OS::Neutron::FloatingIPAssociation", tie)
    assert demo.get(FLOATING, floating, "port_id") is None
    routes = demo.make("OS::Neutron::ExtraRouteSet", router=router.physical_id, routes=[{"destination": "10.20.0.0/24",
                                                                                           "nexthop": "10.9.0.20"}])
    routes = demo.change("OS::Neutron::ExtraRouteSet", routes, router=router.physical_id,
                         routes=[{"destination": "10.21.0.0/24", "nexthop": "10.9.0.20"}])
    assert [route["destination"] for route in demo.get(ROUTER, router, "show")["routes"]] == ["10.21.0.0/24"]
    demo.end("OS::Neutron::ExtraRouteSet", routes)
    demo.end(FLOATING, floating)
    demo.end(PORT, port)
    demo.end(LEG, leg)
    router = demo.change(ROUTER, router, name="inner")
    assert demo.get(ROUTER, router, "external_gateway_info") is None
    way = demo.make("OS::Neutron::RouterGateway", router_id=router.physical_id, network="outside")
    assert demo.get(ROUTER, router, "external_gateway_info")["network_id"] == outside.physical_id
    demo.end("OS::Neutron::RouterGateway", way)
    for kind, work in ((ROUTER, router), (SUBNET, subnet), (NET, net)): demo.end(kind, work)


def test_security_group(demo: Bench) -> None:
    ssh = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    group = demo.make(GROUP, rules=[ssh, {"protocol": "icmp", "remote_mode": "remote_group_id"}])

    def rules() -> set[tuple[Any, ...]]:
        found = demo.get(GROUP, group, "show")["security_group_rules"]
        return {(rule["direction"], rule["ethertype"], rule["protocol"], rule["port_range_min"], rule["remote_group_id"]) for rule in found}

    out = {("egress", "IPv4", None, None, None), ("egress", "IPv6", None, None, None)}
    assert rules() == {("ingress", "IPv4", "tcp", 22, None), ("ingress", "IPv4", "icmp", None, group.physical_id)} | out
    group = demo.change(GROUP, group, rules=[ssh, {"direction": "egress", "protocol": "udp", "remote_ip_prefix": "0.0.0.0/0"}])
    assert rules() == {("ingress", "IPv4", "tcp", 22, None), ("egress", "IPv4", "udp", None, None)}
    group = demo.change(GROUP, group, name="other")
    assert rules() == out and demo.get(GROUP, group, "show")["name"] == "other"
    rule = demo.make("OS::Neutron::SecurityGroupRule", security_group="other", port_range_min=80, port_range_max=80)
    assert ("ingress", "IPv4", "tcp", 80, None) in rules()
    demo.end("OS::Neutron::SecurityGroupRule", rule)
    assert rules() == out
    demo.end(GROUP, group)
    with pytest.raises(PropertyInvalid): demo.work(GROUP, "x", {"name": "default"})
    with pytest.raises(PropertyInvalid): demo.work(GROUP, "x", {"rules": [{"protocol": "nonsense"}]})


def test_addresses_from_a_pool(admin: Bench) -> None:
    scope = admin.make("OS::Neutron::AddressScope", name="scope")
    pool = admin.make("OS::Neutron::SubnetPool", prefixes=["10.40.0.0/16"], address_scope="scope", default_prefixlen=26)
    pool = admin.change("OS::Neutron::SubnetPool", pool, prefixes=["10.40.0.0/16", "10.41.0.0/16"], address_scope="scope",
                        default_prefixlen=27, name="pool")
    net = admin.make(NET)
    subnet = admin.make(SUBNET, network=net.physical_id, subnetpool="pool")
    assert admin.get(SUBNET, subnet, "cidr").endswith("/27")
    policy = admin.make("OS::Neutron::RBACPolicy", object_type="network", object_id=net.physical_id, action="access_as_shared",
                        target_tenant="p1")
    policy = admin.change("OS::Neutron::RBACPolicy", policy, object_type="network", object_id=net.physical_id, action="access_as_shared",
                          target_tenant="p2")
    assert admin.get("OS::Neutron::RBACPolicy", policy, "show")["target_tenant"] == "p2"
    admin.end("OS::Neutron::RBACPolicy", policy)
    for kind, work in ((SUBNET, subnet), (NET, net), ("OS::Neutron::SubnetPool", pool), ("OS::Neutron::AddressScope", scope)):
        admin.end(kind, work)


def test_quota(admin: Bench) -> None:
    quota = admin.make("OS::Neutron::Quota", project="demo", port=7, subnet=3)
    assert admin.get("OS::Neutron::Quota", quota, "show")["port"] == 7
    quota = admin.change("OS::Neutron::Quota", quota, project="demo", port=8)
    shown = admin.get("OS::Neutron::Quota", quota, "show")
    assert (shown["port"], shown["subnet"] > 3) == (8, True)
    admin.end("OS::Neutron::Quota", quota)
    with pytest.raises(PropertyInvalid): admin.work("OS::Neutron::Quota", "x", {"project": "demo"})


def test_repeated_after_a_crash(demo: Bench, outside: Any) -> None:
    """The hook's effect was there and its outcome was not saved: it finds what it has made."""
    for kind, properties, list_path in ((NET, {}, "networks"), (GROUP, {"rules": [{"protocol": "tcp"}]}, "security-groups"),
                                        (FLOATING, {"floating_network": "outside"}, "floatingips")):
        work = demo.work(kind, "crash", properties)
        type_of(kind).create(work)
        made, work.physical_id, work.data, work.again = work.physical_id, None, {}, True
        type_of(kind).create(work)
        assert work.physical_id == made
        work.physical_id, work.again = None, True
        type_of(kind).delete(work)
        plural = list_path.replace("-", "_")
        assert not [one for one in demo.ask("network", "GET", f"/v2.0/{list_path}")[plural] if one["id"] == made]


def test_what_waits_for_what() -> None:
    written = {
        "net": (NET, {}), "subnet": (SUBNET, {"network_id": {"get_resource": "net"}}), "other": (SUBNET, {"network": "elsewhere"}),
        "port": (PORT, {"network": {"get_attr": ["net", "show", "id"]}}),
        "router": (ROUTER, {"external_gateway_info": {"network": "outside"}}),
        "leg": (LEG, {"router": {"get_resource": "router"}, "subnet": {"get_resource": "subnet"}}),
        "floating": (FLOATING, {"floating_network": "outside", "port_id": {"get_resource": "port"}}),
        "server": ("OS::Nova::Server", {"networks": [{"network": {"get_resource": "net"}}]})}

    def requires(name: str) -> set[str]:
        return set(type_of(written[name][0]).hidden_requirements(name, written))

    assert requires("port") == requires("server") == {"subnet"}
    assert requires("floating") == {"router", "leg"}
    assert requires("router") == requires("net") == set()
