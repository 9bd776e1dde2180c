"""Rows of the northbound database as plain values, and the pure comparison that says what must change.

A row of ours carries the cloud's id and a key of ours in external_ids; together with the table they are its name. Rows without the cloud's
id belong to others: they are neither compared nor changed, and stay where another's row hangs on one of ours. No revision number is kept
beside them: every column is compared with what the topology asks for, which finds a stranger's change as well. """
from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

CLOUD = "pilvi:cloud"
KEY = "pilvi:key"

Value = str | int | bool | tuple[str, ...] | tuple[int, ...] | tuple[bool, ...] | dict[str, str]
"""An optional column is a tuple of at most one; a set is a sorted tuple."""

Name = tuple[str, str]
"""(table, key)"""

COLUMNS: dict[str, tuple[str, ...]] = {
    "Logical_Switch": ("name", "other_config", "external_ids"),
    "Logical_Switch_Port": ("name", "type", "options", "tag", "addresses", "port_security", "enabled", "external_ids"),
    "DHCP_Options": ("cidr", "options", "external_ids"),
    "Logical_Router": ("name", "enabled", "options", "external_ids"),
    "Logical_Router_Port": ("name", "mac", "networks", "enabled", "ipv6_ra_configs", "external_ids"),
    "Gateway_Chassis": ("name", "chassis_name", "priority", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "NAT": ("type", "external_ip", "logical_ip", "external_ids"),
    "Port_Group": ("name", "external_ids"),
    "ACL": ("direction", "priority", "match", "action", "external_ids"),
}
"""The columns that are ours in each table; all others are left alone."""

REFERENCES: dict[str, dict[str, str]] = {
    "Logical_Switch": {"ports": "Logical_Switch_Port"},
    "Logical_Switch_Port": {"dhcpv4_options": "DHCP_Options", "dhcpv6_options": "DHCP_Options"},
    "Logical_Router": {"ports": "Logical_Router_Port", "static_routes": "Logical_Router_Static_Route", "nat": "NAT"},
    "Logical_Router_Port": {"gateway_chassis": "Gateway_Chassis"},
    "Port_Group": {"ports": "Logical_Switch_Port", "acls": "ACL"},
}
"""{table: {column: the table it refers to}}"""

NONE: frozenset[str] = frozenset()


class Row(Struct, frozen=True):
    """What a row holds. `references` are keys, per column; a column that is not named is empty."""
    values: dict[str, Value]
    references: dict[str, frozenset[str]] = {}


Rows = dict[Name, Row]


class Insert(Struct, frozen=True):
    table: str
    key: str
    values: dict[str, Value]


class Update(Struct, frozen=True):
    table: str
    key: str
    values: dict[str, Value]


class Link(Struct, frozen=True):
    """Change which rows a column refers to, by difference: what others put there stays."""
    table: str
    key: str
    column: str
    add: frozenset[str]
    remove: frozenset[str]


class Delete(Struct, frozen=True):
    table: str
    key: str


Action = Insert | Update | Link | Delete


def plan(desired: Mapping[Name, Row], actual: Mapping[Name, Row]) -> list[Action]:
    """What turns the actual rows into the desired ones, in an order that can be executed: inserts, updates, links, deletes."""
    inserts: list[Action] = []
    updates: list[Action] = []
    links: list[Action] = []
    for name, row in desired.items():
        there = actual.get(name)
        if there is None:
            inserts.append(Insert(*name, row.values))
        elif there.values != row.values:
            updates.append(Update(*name, {column: value for column, value in row.values.items() if there.values.get(column) != value}))
        links += _links(name, row.references, there.references if there else {})
    deletes: list[Action] = [Delete(*name) for name in actual if name not in desired]
    return inserts + updates + links + deletes


def _links(name: Name, desired: Mapping[str, frozenset[str]], actual: Mapping[str, frozenset[str]]) -> list[Action]:
    if desired == actual: return []
    found: list[Action] = []
    for column in sorted({*desired, *actual}):
        wanted, there = desired.get(column, NONE), actual.get(column, NONE)
        if wanted != there: found.append(Link(*name, column, wanted - there, there - wanted))
    return found


def describe(action: Action) -> str:
    """An action in one line, for logs."""
    match action:
        case Insert(): return f"create {action.table} {action.key}"
        case Update(): return f"change {', '.join(sorted(action.values))} of {action.table} {action.key}"
        case Link(): return f"link {action.column} of {action.table} {action.key}: +{len(action.add)} -{len(action.remove)}"
        case Delete(): return f"delete {action.table} {action.key}"
