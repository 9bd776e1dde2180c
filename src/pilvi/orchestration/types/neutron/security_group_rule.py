"""OS::Neutron::SecurityGroupRule: one rule of a group that may be anybody's."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import Conflict
from pilvi.orchestration.types.interface import SHOW, PropertyInvalid, Work, integer, string
from pilvi.orchestration.types.neutron.resource import NetworkResource
from pilvi.orchestration.types.neutron.security_group import DIRECTION, ETHERTYPE, PORTS, PROTOCOL


class SecurityGroupRule(NetworkResource):
    """Nothing of a rule can be changed: every change makes a new one."""
    name = "OS::Neutron::SecurityGroupRule"
    description = "One rule of a security group."
    since = "7.0.0"
    path, singular, named = "/v2.0/security-group-rules", "security_group_rule", False
    properties = {
        "security_group": string("The group.", required=True, wire="security_group_id", refers="neutron.security_group"),
        "description": string("What it is for."),
        "direction": DIRECTION,
        "ethertype": ETHERTYPE,
        "port_range_min": integer("The first port; the type for ICMP.", constraints=(PORTS,)),
        "port_range_max": integer("The last port; the code for ICMP.", constraints=(PORTS,)),
        "protocol": string("The protocol.", default="tcp", constraints=(PROTOCOL,)),
        "remote_group": string("The group of the other side.", wire="remote_group_id", refers="neutron.security_group"),
        "remote_ip_prefix": string("The addresses of the other side."),
    }
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["remote_group"] and properties["remote_ip_prefix"]:
            raise PropertyInvalid(path="remote_group", reason="Cannot define the following properties at the same time: remote_group, "
                                                              "remote_ip_prefix.")
        low, high = properties["port_range_min"], properties["port_range_max"]
        if low is not None and high is not None and low > high and properties["protocol"] not in ("icmp", "icmpv6", "ipv6-icmp"):
            raise PropertyInvalid(path="port_range_max", reason="it is less than port_range_min")

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The rule itself is its name: two that say the same are refused."""
        told = {name: body[name] for name in ("security_group_id", "direction", "ethertype", "protocol", "port_range_min",
                                              "port_range_max", "remote_group_id", "remote_ip_prefix") if name in body}
        try: return self.opened(work.ask(self.service, "POST", self.path, self.wrapped(dict(body))))
        except Conflict: return next(iter(work.ask(self.service, "GET", self.path, **told)["security_group_rules"]), None)
