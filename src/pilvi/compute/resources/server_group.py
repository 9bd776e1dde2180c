"""Server group: servers that should share a host, or should not.

Source: Compute API, "Server groups"; microversions 2.13 (project and user), 2.15 (soft policies), 2.64 (policy and rules).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped

from pilvi.compute import errors
from pilvi.compute.resources.server import Server
from pilvi.core.context import Call
from pilvi.core.dialect import NOVA
from pilvi.core.errors import Invalid
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, Identified, Kind, field, json, list_of, one_of, text

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
RULES: Kind = json({"type": "object", "additionalProperties": False, "properties": {"max_server_per_host": {
    "type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9][0-9]{0,5}$"}}})


class ServerGroup(Identified, Base):
    __tablename__ = "compute_server_groups"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED)
    policies: Mapped[Any] = field(list_of(one_of(*POLICIES), 1), create=OPTIONAL, until="2.63", filter=False)
    policy: Mapped[str] = field(one_of(*POLICIES), create=OPTIONAL, since="2.64", nullable=False)
    rules: Mapped[Any] = field(RULES, create=OPTIONAL, since="2.64", default=dict, filter=False)
    project_id: Mapped[str] = field(text(64), since="2.13", nullable=False, index=True)
    user_id: Mapped[str] = field(text(64), since="2.13", nullable=False)


def check(call: Call, group: ServerGroup, values: dict[str, Any]) -> None:
    """One policy, in the words of this microversion; a rule only where it means something."""
    if call.version < (2, 64):
        if not group.policies: raise Invalid("Invalid input for field/attribute policies. 'policies' is a required property")
        group.policy = group.policies[0]
    if not group.policy: raise Invalid("Invalid input for field/attribute policy. 'policy' is a required property")
    if call.version < (2, 15) and group.policy.startswith("soft"): raise Invalid(f"The policy {group.policy} needs microversion 2.15.")
    if group.rules and group.policy != "anti-affinity": raise Invalid("Only anti-affinity policy supports rules.")
    group.policies, group.user_id = [group.policy], call.user_id
    group.rules = {name: int(value) for name, value in (group.rules or {}).items()}


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    assert call.db is not None
    members: dict[str, list[str]] = {}
    wanted = select(Server.id, Server.group_id).where(Server.group_id.in_([row.id for row in rows]), Server.deleted_at.is_(None))
    for server_id, group_id in call.db.execute(wanted): members.setdefault(group_id or "", []).append(server_id)
    for row, body in zip(rows, bodies, strict=True):
        body.pop("links", None)
        body["members"] = members.get(row.id, [])
        if call.version < (2, 64): body["metadata"] = {}


RESOURCE = Resource(
    ServerGroup, "server_group", "/v2.1/os-server-groups", NOVA, verbs=("list", "show", "create", "delete"), missing=errors.GroupNotFound,
    list_brief=False, status={"create": 200, "delete": 204}, on_create=check, on_render=render, quota="server_groups",
    policy={"list": "role:admin or role:reader", "show": "reader", "create": "role:admin or role:member", "delete": "member"})
