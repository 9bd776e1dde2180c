"""Security group rule: which packets may come in or go out.

Source: Networking API v2.0, "Security group rules"; Neutron's checks of ports, protocols and families.
"""
from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.resources.standard import SEEN_BY_AGENTS, bump, check_revision
from pilvi.network.resources.tables import SecurityGroup, SecurityGroupRule

PROTOCOLS = {"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4, "ipv6-encap": 41,
             "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113,
             "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112}
WITH_PORTS = {6, 17, 33, 132, 136}
ICMP, ICMP6 = 1, 58
ONLY_IPV6 = {41, 43, 44, 58, 59, 60}
ANY = ("any", "0")


def says(rule: SecurityGroupRule) -> str:
    """All that the rule says, as one text that its twin would have too."""
    protocol = "" if rule.protocol is None else str(_number(rule.protocol))
    return "|".join("" if part is None else str(part) for part in (
        rule.direction, rule.ethertype, protocol, rule.port_range_min, rule.port_range_max, rule.normalized_cidr, rule.remote_group_id))


def _number(protocol: str) -> int:
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def check(call: Call, rule: SecurityGroupRule, values: dict[str, Any]) -> None:
    """Refuses contradictions and twins."""
    assert call.db is not None
    rule.ethertype = rule.ethertype or "IPv4"
    rule.remote_ip_prefix, rule.remote_group_id = rule.remote_ip_prefix or None, rule.remote_group_id or None
    _check_protocol(rule)
    _check_ports(rule)
    _check_remote(rule)
    group = _group(call, rule.security_group_id)
    if rule.remote_group_id: _group(call, rule.remote_group_id)
    rule.project_id = group.project_id
    rule.twin = says(rule)
    same = select(SecurityGroupRule.id).where(SecurityGroupRule.security_group_id == group.id, SecurityGroupRule.twin == rule.twin)
    if found := call.db.scalar(same): raise errors.SecurityGroupRuleExists(rule_id=found)
    bump(group)


def _group(call: Call, id: str) -> SecurityGroup:
    assert call.db is not None
    mine = [] if call.is_admin else [SecurityGroup.project_id == call.project_id]
    group = call.db.query(SecurityGroup).where(SecurityGroup.id == id, *mine).first()
    if group is None: raise errors.SecurityGroupNotFound(id=id)
    return group


def _check_protocol(rule: SecurityGroupRule) -> None:
    if rule.protocol in (None, ""):
        rule.protocol = None
        return
    assert rule.protocol is not None
    rule.protocol = rule.protocol.lower()
    if rule.protocol in ANY:
        rule.protocol = None
        return
    known = rule.protocol in PROTOCOLS or (rule.protocol.isascii() and rule.protocol.isdigit() and int(rule.protocol) <= 255)
    if not known: raise errors.SecurityGroupRuleInvalidProtocol(protocol=rule.protocol[:40], values=["any", *sorted(PROTOCOLS)])
    number = _number(rule.protocol)
    if number == ICMP and rule.ethertype == "IPv6" and rule.protocol == "icmp": rule.protocol, number = "ipv6-icmp", ICMP6
    if number in ONLY_IPV6 and rule.ethertype == "IPv4":
        raise errors.SecurityGroupProtocolEthertypeConflict(ethertype=rule.ethertype, protocol=rule.protocol)


def _check_ports(rule: SecurityGroupRule) -> None:
    low, high = rule.port_range_min, rule.port_range_max
    if low is None and high is None: return
    if rule.protocol is None: raise errors.SecurityGroupProtocolRequiredWithPorts()
    number = _number(rule.protocol)
    if number in (ICMP, ICMP6):
        for name, attribute, value in (("type", "port-range-min", low), ("code", "port-range-max", high)):
            if value is not None and not 0 <= value <= 255:
                raise errors.SecurityGroupInvalidIcmpValue(field=name, attr=attribute, value=value)
        if low is None: raise errors.SecurityGroupMissingIcmpType(value=high)
        return
    if number not in WITH_PORTS:
        raise errors.InvalidInput(error_message=f"Port range cannot be specified for protocol {rule.protocol}")
    least = 1 if number in (6, 17) else 0
    for value in (low, high):
        if value is not None and not least <= value <= 65535: raise errors.SecurityGroupInvalidPortValue(port=value)
    if low is None or high is None or low > high: raise errors.SecurityGroupInvalidPortRange()


def _check_remote(rule: SecurityGroupRule) -> None:
    if rule.remote_ip_prefix and rule.remote_group_id: raise errors.SecurityGroupRemoteGroupAndRemoteIpPrefix()
    if not rule.remote_ip_prefix: return
    try: net = ip_network(rule.remote_ip_prefix, strict=False)
    except ValueError: raise errors.InvalidInput(error_message=f"'{rule.remote_ip_prefix[:64]}' is not a valid IP subnet") from None
    if f"IPv{net.version}" != rule.ethertype: raise errors.SecurityGroupRuleParameterConflict(ethertype=rule.ethertype, cidr=str(net))
    rule.normalized_cidr = str(net)


def remove(call: Call, rule: SecurityGroupRule) -> None:
    """The group's revision tells."""
    assert call.db is not None
    check_revision(call, rule)
    group = call.db.get(SecurityGroup, rule.security_group_id)
    if group: bump(group)


def visible(call: Call) -> ColumnElement[bool]:
    """The project's own, those of its groups, and those of the groups that an agent's grant names."""
    groups = select(SecurityGroup.id).where(SecurityGroup.project_id == call.project_id)
    return or_(SecurityGroupRule.project_id == call.project_id, SecurityGroupRule.security_group_id.in_(groups),
               SecurityGroupRule.security_group_id.in_(call.grant.get("security_group", [])))


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Address groups are not offered."""
    for body in bodies: body["remote_address_group_id"] = None


RESOURCE = Resource(
    SecurityGroupRule, "security_group_rule", "/v2.0/security-group-rules", NEUTRON, verbs=("list", "show", "create", "delete"),
    quota="security_group_rule", policy=SEEN_BY_AGENTS, missing=errors.SecurityGroupRuleNotFound, visible=visible,
    on_create=check, on_delete=remove, on_render=render)
