"""Security group rules in OVN's words, with neutron's meaning."""
from __future__ import annotations

import pytest

from pilvi.network.drivers.interface import SecurityGroupRule
from pilvi.network.drivers.ovn.groups import match_of


def rule(**more: object) -> SecurityGroupRule:
    return SecurityGroupRule(**{"id": "r", "security_group_id": "a-b", "direction": "ingress", "ethertype": "IPv4", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "match"), [
    ({}, "outport == @pg_a_b && ip4"),
    ({"direction": "egress", "ethertype": "IPv6"}, "inport == @pg_a_b && ip6"),
    ({"protocol": "any"}, "outport == @pg_a_b && ip4"),
    ({"remote_cidr": "0.0.0.0/0"}, "outport == @pg_a_b && ip4"),
    ({"remote_cidr": "10.0.0.0/8"}, "outport == @pg_a_b && ip4 && ip4.src == 10.0.0.0/8"),
    ({"remote_cidr": "10.0.0.0/8", "direction": "egress"}, "inport == @pg_a_b && ip4 && ip4.dst == 10.0.0.0/8"),
    ({"remote_group_id": "c-d"}, "outport == @pg_a_b && ip4 && ip4.src == $pg_c_d_ip4"),
    ({"remote_group_id": "c-d", "ethertype": "IPv6"}, "outport == @pg_a_b && ip6 && ip6.src == $pg_c_d_ip6"),
    ({"protocol": "tcp"}, "outport == @pg_a_b && ip4 && tcp"),
    ({"protocol": "6", "port_min": 22, "port_max": 22}, "outport == @pg_a_b && ip4 && tcp && tcp.dst == 22"),
    ({"protocol": "UDP", "port_min": 1, "port_max": 9}, "outport == @pg_a_b && ip4 && udp && udp.dst >= 1 && udp.dst <= 9"),
    ({"protocol": "sctp", "port_min": 5, "port_max": 5}, "outport == @pg_a_b && ip4 && sctp && sctp.dst == 5"),
    ({"protocol": "icmp"}, "outport == @pg_a_b && ip4 && icmp4"),
    ({"protocol": "icmp", "port_min": 8}, "outport == @pg_a_b && ip4 && icmp4 && icmp4.type == 8"),
    ({"protocol": "icmp", "port_min": 3, "port_max": 0}, "outport == @pg_a_b && ip4 && icmp4 && icmp4.type == 3 && icmp4.code == 0"),
    ({"protocol": "icmp", "ethertype": "IPv6"}, "outport == @pg_a_b && ip6 && icmp6"),
    ({"protocol": "ipv6-icmp", "ethertype": "IPv6", "port_min": 128}, "outport == @pg_a_b && ip6 && icmp6 && icmp6.type == 128"),
    ({"protocol": "vrrp"}, "outport == @pg_a_b && ip4 && ip.proto == 112"),
    ({"protocol": "47"}, "outport == @pg_a_b && ip4 && ip.proto == 47"),
])
def test_a_rule_becomes_a_match(given: dict[str, object], match: str) -> None:
    assert match_of(rule(**given)) == match
