"""A topology as rows: what is referred to exists, and the facts a guest sees come out right."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pilvi.network.drivers.interface import (
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Topology,
)
from pilvi.network.drivers.ovn.desired import desired_rows
from pilvi.network.drivers.ovn.rows import COLUMNS, REFERENCES, Row, Rows

GATEWAYS = {"external": ("h1", "h2")}


def port(name: str, **more: object) -> Port:
    return Port(**{"id": name, "name": name, "network_id": "n", "mac": "FA:16:3E:00:00:01", "fixed_ips": [FixedIp("s", "10.0.0.5")],  # type: ignore[arg-type]
                   "device_owner": "compute:nova", "device_id": "d", **more})


METADATA = port("meta", device_owner="network:distributed", fixed_ips=[FixedIp("s", "10.0.0.2")])
INTERFACE = port("interface", device_owner="network:router_interface", device_id="r", fixed_ips=[FixedIp("s", "10.0.0.1")])
GATEWAY = port("gateway", device_owner="network:router_gateway", device_id="r", network_id="x", fixed_ips=[FixedIp("sx", "192.0.2.10")])
SMALL = Topology(
    networks=[Network(id="n", name="n", mtu=1442), Network(id="x", name="x", mtu=1500, physical_network="external", vlan=7)],
    subnets=[Subnet(id="s", network_id="n", cidr="10.0.0.0/24", gateway_ip="10.0.0.1", dhcp=True),
             Subnet(id="sx", network_id="x", cidr="192.0.2.0/24", gateway_ip="192.0.2.1", dhcp=False)],
    ports=[port("p", host="h1", security_group_ids=["g"]), METADATA, INTERFACE, GATEWAY],
    routers=[Router(id="r", name="r", routes=[("10.9.0.0/16", "10.0.0.9")])], security_groups=[SecurityGroup(id="g", name="g")],
    floating_ips=[FloatingIp(id="f", floating_ip_address="192.0.2.50", fixed_ip_address="10.0.0.5", port_id="p", router_id="r")])


def rows(topology: Topology = SMALL) -> Rows:
    return desired_rows(topology, "cloud", GATEWAYS)


def with_port(**more: object) -> Row:
    """The switch port of a guest with these properties."""
    changed = port("p", **more)
    return rows(replace(SMALL, ports=[changed, *SMALL.ports[1:]]))["Logical_Switch_Port", "p"]


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Parts of the small topology in any combination, with dangling ids."""
    subset = {name: draw(st.lists(st.sampled_from(things), unique_by=lambda thing: thing.id)) if (things := getattr(SMALL, name)) else []
              for name in SMALL.__struct_fields__}
    remote = draw(st.sampled_from([None, "g", "gone"]))
    rule = SecurityGroupRule(id="rule", security_group_id="g", direction="ingress", ethertype="IPv4", remote_group_id=remote)
    return Topology(**subset | {"rules": draw(st.sampled_from([[], [rule]]))})


@given(topologies())
def test_every_reference_leads_to_a_row_and_every_column_is_there(topology: Topology) -> None:
    found = rows(topology)
    for (table, _), row in found.items():
        assert set(row.values) == set(COLUMNS[table])
        for column, keys in row.references.items():
            assert keys and all((REFERENCES[table][column], key) in found for key in keys)


def test_a_guests_port_is_bound_filtered_and_given_addresses() -> None:
    row = rows()["Logical_Switch_Port", "p"]
    assert row.values["options"] == {"requested-chassis": "h1"}
    assert row.values["addresses"] == ("FA:16:3E:00:00:01 10.0.0.5",)
    assert row.values["port_security"] == ("fa:16:3e:00:00:01 10.0.0.5",)
    assert row.references == {"dhcpv4_options": frozenset({"s"})}


def test_address_pairs_may_be_sent_from_and_their_macs_are_reached() -> None:
    row = with_port(allowed_address_pairs=[("10.0.0.100", "fa:16:3e:00:00:01"), ("10.0.1.0/24", "fa:16:3e:00:00:09")])
    assert row.values["port_security"] == ("fa:16:3e:00:00:01 10.0.0.5 10.0.0.100", "fa:16:3e:00:00:09 10.0.1.0/24")
    assert row.values["addresses"] == ("FA:16:3E:00:00:01 10.0.0.5", "fa:16:3e:00:00:09")


def test_without_port_security_nothing_is_filtered() -> None:
    row = with_port(port_security=False, security_group_ids=["g"])
    assert row.values["port_security"] == () and "unknown" in row.values["addresses"]
    found = rows(replace(SMALL, ports=[port("p", port_security=False, security_group_ids=["g"])]))
    assert found["Port_Group", "g"].references == {} and "ports" not in found["Port_Group", "drop"].references


def test_only_filtered_ports_are_in_the_group_that_drops() -> None:
    assert rows()["Port_Group", "drop"].references["ports"] == frozenset({"p"})


def test_a_stateless_group_is_stateless() -> None:
    rule = SecurityGroupRule(id="rule", security_group_id="g", direction="ingress", ethertype="IPv4")
    for stateful, action in ((True, "allow-related"), (False, "allow-stateless")):
        groups = [SecurityGroup(id="g", name="g", stateful=stateful)]
        assert rows(replace(SMALL, security_groups=groups, rules=[rule]))["ACL", "rule"].values["action"] == action


def test_a_port_or_its_network_switched_off_is_off() -> None:
    assert with_port(admin_up=False).values["enabled"] == (False,)
    off = replace(SMALL, networks=[replace(SMALL.networks[0], admin_up=False), SMALL.networks[1]])
    assert rows(off)["Logical_Switch_Port", "p"].values["enabled"] == (False,)


def test_a_floating_ips_own_port_gets_no_switch_port() -> None:
    reserved = port("reserved", network_id="x", device_owner="network:floatingip", fixed_ips=[FixedIp("sx", "192.0.2.50")])
    assert ("Logical_Switch_Port", "reserved") not in rows(replace(SMALL, ports=[*SMALL.ports, reserved]))


def test_dhcp_says_what_the_subnet_and_the_port_ask_for() -> None:
    options = rows()["DHCP_Options", "s"].values["options"]
    assert isinstance(options, dict)
    assert options["classless_static_route"] == "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}"
    assert (options["router"], options["server_id"], options["mtu"]) == ("10.0.0.1", "10.0.0.1", "1442")
    assert with_port(dhcp_options={"bootfile-name": "x.img", "26": "1400"}).references == {"dhcpv4_options": frozenset({"p/4"})}
    own = rows(replace(SMALL, ports=[port("p", dhcp_options={"bootfile-name": "x.img", "26": "1400", "odd": "1"})]))["DHCP_Options", "p/4"]
    assert own.values["options"] == {"server_id": "10.0.0.1", "server_mac": options["server_mac"], "lease_time": "43200", "mtu": "1400",
                                     "router": "10.0.0.1", "bootfile_name": '"x.img"'}


def test_an_isolated_subnet_has_metadata_but_no_router() -> None:
    isolated = replace(SMALL, subnets=[replace(SMALL.subnets[0], gateway_ip=None, dns_servers=["9.9.9.9", "2620:fe::fe"])])
    options = rows(isolated)["DHCP_Options", "s"].values["options"]
    assert isinstance(options, dict)
    assert (options["server_id"], options["dns_server"]) == ("10.0.0.2", "{9.9.9.9}")
    assert options["classless_static_route"] == "{169.254.169.254/32,10.0.0.2}"
    assert "router" not in options


def test_version_6_is_announced_by_the_router_and_asked_for_where_it_must() -> None:
    six = Subnet(id="s6", network_id="n", cidr="fd00::/64", gateway_ip="fd00::1", dhcp=True, ipv6_mode="dhcpv6-stateful")
    both = [FixedIp("s", "10.0.0.5"), FixedIp("s6", "fd00::5")]
    ports = [port("p", fixed_ips=both), replace(INTERFACE, fixed_ips=[FixedIp("s6", "fd00::1")])]
    found = rows(replace(SMALL, subnets=[*SMALL.subnets, six], ports=ports))
    assert found["Logical_Switch_Port", "p"].references == {"dhcpv4_options": frozenset({"s"}), "dhcpv6_options": frozenset({"s6"})}
    assert found["Logical_Router_Port", "interface"].values["ipv6_ra_configs"] == {
        "address_mode": "dhcpv6_stateful", "send_periodic": "true", "mtu": "1442"}
    slaac = rows(replace(SMALL, subnets=[*SMALL.subnets, replace(six, ipv6_mode="slaac")], ports=ports))
    assert "dhcpv6_options" not in slaac["Logical_Switch_Port", "p"].references


def test_a_router_routes_translates_and_has_its_gateway_on_hosts_that_reach_the_outside() -> None:
    found = rows()
    routes = {(row.values["ip_prefix"], row.values["nexthop"]) for (table, _), row in found.items() if table.endswith("Static_Route")}
    assert routes == {("10.9.0.0/16", "10.0.0.9"), ("0.0.0.0/0", "192.0.2.1")}
    columns = ("type", "external_ip", "logical_ip")
    nats = {tuple(row.values[column] for column in columns) for (table, _), row in found.items() if table == "NAT"}
    assert nats == {("snat", "192.0.2.10", "10.0.0.0/24"), ("dnat_and_snat", "192.0.2.50", "10.0.0.5")}
    assert {row.values["chassis_name"] for (table, _), row in found.items() if table == "Gateway_Chassis"} == {"h1", "h2"}
    assert found["Logical_Switch_Port", "localnet-x"].values["tag"] == (7,)


def test_without_snat_only_floating_ips_are_translated() -> None:
    found = rows(replace(SMALL, routers=[replace(SMALL.routers[0], snat=False)]))
    assert {row.values["type"] for (table, _), row in found.items() if table == "NAT"} == {"dnat_and_snat"}
