"""Port_Group and ACL rows: a port group for each security group, an ACL for each rule, and a last group that drops what no rule let
through.

Source: Networking API v2.0, "Security group rules"; ovn-nb(5), "ACL". Rules only ever allow, so their order does not matter. OVN keeps the
addresses of a port group's ports in an address set of its own, which is what a remote group refers to. """
from __future__ import annotations

from collections import defaultdict

from pilvi.network.drivers.interface import SecurityGroup, SecurityGroupRule
from pilvi.network.drivers.ovn.lookup import Lookup, is_filtered
from pilvi.network.drivers.ovn.rows import Row, Rows

DROP_PRIORITY = 1001
ALLOW_PRIORITY = 1002
DROP_KEY = "drop"

PROTOCOL_NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113,
    "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}
"""The names that the Networking API knows."""

WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}


def rows(lookup: Lookup) -> Rows:
    """The rows of all groups and rules."""
    members: dict[str, set[str]] = defaultdict(set)
    for port in lookup.ports.values():
        if not is_filtered(port): continue
        members[DROP_KEY].add(port.id)
        for group_id in port.security_group_ids: members[group_id].add(port.id)
    acls: dict[str, set[str]] = defaultdict(set)
    groups = {group.id: group for group in lookup.topology.security_groups}
    found: Rows = {}
    for rule in lookup.topology.rules:
        # A rule for a remote group that does not exist matches nobody.
        if rule.security_group_id not in groups or (rule.remote_group_id and rule.remote_group_id not in groups): continue
        acls[rule.security_group_id].add(rule.id)
        found["ACL", rule.id] = _acl(lookup, groups[rule.security_group_id], rule)
    for group in groups.values():
        found["Port_Group", group.id] = _group(lookup, group.id, group.name, members[group.id], acls[group.id])
    return found | _drop(lookup, members[DROP_KEY])


def group_name(key: str) -> str:
    """A port group's name: OVN allows only letters, digits, dot and underscore."""
    return "pg_" + "".join(letter if letter.isalnum() else "_" for letter in key)


def _group(lookup: Lookup, key: str, name: str, members: set[str], acls: set[str]) -> Row:
    references = {column: frozenset(keys) for column, keys in (("ports", members), ("acls", acls)) if keys}
    return Row({"name": group_name(key), "external_ids": lookup.mark(key, name)}, references)


def _drop(lookup: Lookup, members: set[str]) -> Rows:
    """What holds for every filtered port: nothing passes, but a port may ask for its addresses even if its groups allow nothing.
    (Answers of OVN's own DHCP server and neighbour discovery pass by themselves.)"""
    group = group_name(DROP_KEY)
    entries = [
        ("drop/ingress", "to-lport", DROP_PRIORITY, f"outport == @{group} && ip", "drop"),
        ("drop/egress", "from-lport", DROP_PRIORITY, f"inport == @{group} && ip", "drop"),
        ("dhcp/4", "from-lport", ALLOW_PRIORITY, f"inport == @{group} && ip4 && udp.src == 68 && udp.dst == 67", "allow"),
        ("dhcp/6", "from-lport", ALLOW_PRIORITY, f"inport == @{group} && ip6 && udp.src == 546 && udp.dst == 547", "allow"),
    ]
    found: Rows = {("ACL", key): Row({
        "direction": direction, "priority": priority, "match": match, "action": action, "external_ids": lookup.mark(key)})
        for key, direction, priority, match, action in entries}
    found["Port_Group", DROP_KEY] = _group(lookup, DROP_KEY, "", members, {key for _, key in found})
    return found


def _acl(lookup: Lookup, group: SecurityGroup, rule: SecurityGroupRule) -> Row:
    return Row({
        "direction": "to-lport" if rule.direction == "ingress" else "from-lport", "priority": ALLOW_PRIORITY,
        "match": match_of(rule), "action": "allow-related" if group.stateful else "allow-stateless", "external_ids": lookup.mark(rule.id)})


def match_of(rule: SecurityGroupRule) -> str:
    """A rule as a match of OVN's."""
    ip = "ip4" if rule.ethertype == "IPv4" else "ip6"
    side, remote = ("outport", "src") if rule.direction == "ingress" else ("inport", "dst")
    parts = [f"{side} == @{group_name(rule.security_group_id)}", ip]
    if rule.remote_cidr and not rule.remote_cidr.endswith("/0"): parts.append(f"{ip}.{remote} == {rule.remote_cidr}")
    if rule.remote_group_id: parts.append(f"{ip}.{remote} == ${group_name(rule.remote_group_id)}_{ip}")
    return " && ".join(parts + _protocol(rule))


def _protocol(rule: SecurityGroupRule) -> list[str]:
    if rule.protocol is None or rule.protocol.lower() in ("any", "0", ""): return []
    word = rule.protocol.lower()
    number = int(word) if word.isdigit() else PROTOCOL_NUMBERS[word]
    # "icmp" in an IPv6 rule means that version's protocol, as in neutron.
    if number in (1, 58): return _icmp("icmp4" if rule.ethertype == "IPv4" else "icmp6", rule)
    if number not in WITH_PORTS: return [f"ip.proto == {number}"]
    name, low, high = WITH_PORTS[number], rule.port_min, rule.port_max
    if low is None and high is None: return [name]
    if low == high: return [name, f"{name}.dst == {low}"]
    return [name, *([f"{name}.dst >= {low}"] if low is not None else []), *([f"{name}.dst <= {high}"] if high is not None else [])]


def _icmp(name: str, rule: SecurityGroupRule) -> list[str]:
    parts = [name]
    if rule.port_min is not None: parts.append(f"{name}.type == {rule.port_min}")
    if rule.port_max is not None: parts.append(f"{name}.code == {rule.port_max}")
    return parts
