"""What all resources of this API share: revision checks, rules for single attributes, tag filters, sharing.

Source: Networking API v2.0, "Standard attributes", "If-Match", "Tag extension", "RBAC policies".
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, and_, cast, not_, or_, select

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.wire import Base, fields_of
from pilvi.network import errors
from pilvi.network.resources.tables import Network, Sharing

SERVICE_OR = " or role:service"
"""A service sees and touches only what its grant names: the scope of each resource says so; the rule only opens the door."""
POLICY = {"list": PERSONAS["reader"], "show": PERSONAS["reader"], "create": PERSONAS["member"], "update": PERSONAS["member"],
          "delete": PERSONAS["member"]}
SEEN_BY_AGENTS = POLICY | {"list": PERSONAS["reader"] + SERVICE_OR, "show": PERSONAS["reader"] + SERVICE_OR}
ADMIN = "role:admin"
SHARED, EXTERNAL = "access_as_shared", "access_as_external"
"""What an RBAC policy lets a project do with a network."""
MEMBER = PERSONAS["member"] + SERVICE_OR
ATTRIBUTE_RULES = {
    **{f"{verb}_network:{name}": ADMIN for verb in ("create", "update") for name in (
        "shared", "router:external", "is_default", "provider:network_type", "provider:physical_network", "provider:segmentation_id")},
    **{f"{verb}_port:{name}": MEMBER for verb in ("create", "update") for name in (
        "mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs", "device_owner")},
    **{f"{verb}_port:{name}": ADMIN + SERVICE_OR for verb in ("create", "update") for name in ("binding:host_id", "binding:profile")},
    **{f"{verb}_router:external_gateway_info:{name}": ADMIN
       for verb in ("create", "update") for name in ("enable_snat", "external_fixed_ips")},
    **{f"{verb}_{name}": ADMIN for verb in ("create", "update") for name in (
        "subnetpool:shared", "subnetpool:is_default", "address_scope:shared")},
    "create_floatingip:floating_ip_address": ADMIN,
    "create_rbac_policy:target_tenant": "role:admin or not '*':%(target_tenant)s",
    "update_rbac_policy:target_tenant": "role:admin or not '*':%(target_tenant)s",
}
RULES = {name: Rule(check) for name, check in ATTRIBUTE_RULES.items()}


def check_revision(call: Call, row: Any) -> None:
    """Heeds If-Match: revision_number=N. Raises RevisionNumberConstraintFailed."""
    given = call.request.headers.get("if-match", "") if call.request else ""
    if not given: return
    found = re.fullmatch(r"revision_number=(\d+)", given.strip())
    if found is None: raise Invalid("Invalid value for an If-Match filter: revision_number=<number> is expected.")
    if int(found[1]) != row.revision_number: raise errors.RevisionNumberConstraintFailed(expected=found[1], current=row.revision_number)


def refuse_agents(call: Call, action: str) -> None:
    """A grant for a network or group lets an agent see it, not change it. Raises Forbidden."""
    if "service" in call.identity.roles and "member" not in call.identity.roles and not call.is_admin: raise Forbidden(action=action)


def bump(row: Any) -> None:
    """A thing that belongs to the row changed; its revision tells."""
    row.revision_number += 1


def require(call: Call, rule: str, target: Mapping[str, Any]) -> None:
    """Raises Forbidden unless the rule allows it."""
    if not call.allowed(rule, dict(target)): raise Forbidden(action=rule)


def permit_attributes(call: Call, action: str, table: type[Base], values: Mapping[str, Any], owner: str) -> None:
    """Raises Forbidden for an attribute in `values` (by column) that only others may set; `owner`: the project whose word counts.
    On create a value that equals the default asks for nothing."""
    target = {"project_id": owner, "tenant_id": owner}
    creates = action.startswith("create")
    for column, rules in fields_of(table).items():
        name = f"{action}:{rules.wire or column}"
        if name not in ATTRIBUTE_RULES or column not in values: continue
        default, value = table.__table__.columns[column].default, values[column]
        if creates and (value is None or (default is not None and not default.is_callable and value == default.arg)): continue
        require(call, name, target)


def shared_with(call: Call, *actions: str) -> Any:
    """The ids of networks that others let the caller's project use in these ways, as a subquery."""
    return select(Sharing.object_id).where(Sharing.target_project.in_(["*", call.project_id]), Sharing.action.in_(actions))


def own_or_granted(table: Any, kind: str) -> Callable[[Call], ColumnElement[bool]]:
    """The scope of a resource: the project's own, and what an agent's grant names."""
    def visible(call: Call) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = table.project_id == call.project_id
        return or_(mine, table.id.in_(call.grant[kind])) if call.grant.get(kind) else mine

    return visible


def visible_networks(call: Call) -> ColumnElement[bool]:
    """Own networks, shared and external ones, and those that an agent's grant names."""
    return or_(Network.project_id == call.project_id, Network.id.in_(shared_with(call, SHARED, EXTERNAL)),
               Network.id.in_(call.grant.get("network", [])))


def find_network(call: Call, id: str) -> Network:
    """A network that the caller may use. Raises NetworkNotFound."""
    assert call.db is not None
    conditions = [] if call.is_admin else [visible_networks(call)]
    network = call.db.query(Network).where(Network.id == id, *conditions).first()
    if network is None: raise errors.NetworkNotFound(id=id)
    return network


def tag_filters(table: Any) -> dict[str, Callable[[Call, list[str]], ColumnElement[bool]]]:
    """?tags, ?tags-any, ?not-tags, ?not-tags-any: each with a list between commas."""
    def has(tag: str) -> ColumnElement[bool]:
        # A tag has no comma, so in the stored JSON `["tag"` and `,"tag"` can only be whole tags.
        word = msgspec.json.encode(tag).decode().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        text = cast(table.tags, String)
        return or_(text.like(f"[{word}%", escape="\\"), text.like(f"%,{word}%", escape="\\"))

    def split(values: Iterable[str]) -> list[ColumnElement[bool]]:
        return [has(tag) for value in values for tag in value.split(",")]

    return {"tags": lambda call, values: and_(*split(values)), "tags-any": lambda call, values: or_(*split(values)),
            "not-tags": lambda call, values: not_(and_(*split(values))), "not-tags-any": lambda call, values: not_(or_(*split(values)))}
