"""OS::Neutron::SecurityGroup: rules for what may reach its ports, and what they may reach."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import Conflict, NotFound
from pilvi.orchestration.template.schema import AllowedValues, Range
from pilvi.orchestration.types.interface import SHOW, Property, PropertyInvalid, Work, boolean, integer, list_of, map_of, string
from pilvi.orchestration.types.neutron.resource import NetworkResource
from pilvi.orchestration.types.rest import resolve

PROTOCOLS = ("ah", "dccp", "egp", "esp", "gre", "icmp", "icmpv6", "igmp", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts",
             "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp", "udp", "udplite", "vrrp", *map(str, range(256)))
PORTS = Range(0, 65535)
DIRECTION = string("ingress: towards the port, egress: from it.", default="ingress", constraints=(AllowedValues(("ingress", "egress")),))
ETHERTYPE = string("IPv4 or IPv6.", default="IPv4", constraints=(AllowedValues(("IPv4", "IPv6")),))
PROTOCOL = AllowedValues(PROTOCOLS, "the protocol is neither one of the known words nor a number from 0 to 255")
RULE: dict[str, Property] = {
    "direction": DIRECTION,
    "ethertype": ETHERTYPE,
    "port_range_min": integer("The first port; the type for ICMP.", constraints=(PORTS,)),
    "port_range_max": integer("The last port; the code for ICMP.", constraints=(PORTS,)),
    "protocol": string("The protocol; not given: all.", constraints=(PROTOCOL,)),
    "remote_mode": string("Is the other side told by an address block or by a group?", default="remote_ip_prefix",
                          constraints=(AllowedValues(("remote_ip_prefix", "remote_group_id")),)),
    "remote_group_id": string("The group of the other side; not given: this group.", refers="neutron.security_group"),
    "remote_ip_prefix": string("The addresses of the other side."),
    "description": string("What it is for."),
}
WAY_OUT = [{"direction": "egress", "ethertype": kind} for kind in ("IPv4", "IPv6")]
"""The rules that a new group has."""
TOLD = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_group_id", "remote_ip_prefix")


class SecurityGroup(NetworkResource):
    """Without a rule for egress it keeps those that let everything out; one takes their place."""
    name = "OS::Neutron::SecurityGroup"
    description = "Rules for what may reach ports, and what they may reach."
    path, singular = "/v2.0/security-groups", "security_group"
    properties = {
        "name": string("Its name.", update=True),
        "description": string("What it is for.", update=True),
        "rules": list_of(map_of(RULE), "Its rules.", default=[], update=True, wire=""),
        "stateful": boolean("Do answers pass without a rule?", update=True, since="27.0.0"),
    }
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["name"] == "default":
            raise PropertyInvalid(path="name", reason='Security groups cannot be assigned the name "default".')

    def create(self, work: Work) -> None:
        super().create(work)
        if work.properties["rules"]: self._set(work, work.properties["rules"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        if "rules" in changes: self._set(work, changes["rules"] or [])

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value if name != "description" else value or "" for name, value in super().change(work, changes).items()
                if value is not None or name == "description"}

    def _set(self, work: Work, rules: list[dict[str, Any]]) -> None:
        """Makes the group's rules these, leaving those alone that are right already; so it may be repeated."""
        way_out = [] if any(rule["direction"] == "egress" for rule in rules) else WAY_OUT
        wanted = {_key(rule): rule for rule in [*(self._wire(work, rule) for rule in rules), *way_out]}
        present = {_key(rule): rule["id"] for rule in self.shown(work)["security_group_rules"]}
        for key, id in present.items():
            if key not in wanted: _end_rule(work, id)
        for key, rule in wanted.items():
            if key not in present: _make_rule(work, {**rule, "security_group_id": work.physical_id})

    def _wire(self, work: Work, rule: dict[str, Any]) -> dict[str, Any]:
        """A rule of the template as the API takes it."""
        told = {name: resolve(work, RULE[name], value) for name, value in rule.items() if value is not None and name != "remote_mode"}
        if rule["remote_mode"] == "remote_group_id":
            told.pop("remote_ip_prefix", None)
            told.setdefault("remote_group_id", work.physical_id)
        else: told.pop("remote_group_id", None)
        return told


def _key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rules the same. 0.0.0.0/0 is how the API says "everybody" when it is asked for that."""
    return tuple(str(value).lower() if (value := rule.get(name)) is not None else None for name in TOLD)


def _make_rule(work: Work, rule: dict[str, Any]) -> None:
    try: work.ask("network", "POST", "/v2.0/security-group-rules", {"security_group_rule": rule})
    except Conflict: pass  # it exists already, in other words (icmpv6 and ipv6-icmp)


def _end_rule(work: Work, id: str) -> None:
    try: work.ask("network", "DELETE", f"/v2.0/security-group-rules/{id}")
    except NotFound: pass
