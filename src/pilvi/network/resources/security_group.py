"""Security group: a named set of rules for ports. Each project has a default one, made when it is first needed.

Source: Networking API v2.0, "Security groups".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.db.session import Database
from pilvi.core.dialect import NEUTRON
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource, list_
from pilvi.network import errors
from pilvi.network.resources.security_group_rule import RESOURCE as RULE
from pilvi.network.resources.security_group_rule import says
from pilvi.network.resources.standard import SEEN_BY_AGENTS, check_revision, own_or_granted, refuse_agents, tag_filters
from pilvi.network.resources.tables import PortGroup, SecurityGroup, SecurityGroupRule

DEFAULT = "default"


def default_group(db: Session, project_id: str) -> str:
    """The id of the project's default group; made if it is not there. In the caller's write transaction."""
    found = db.scalar(select(SecurityGroup.id).where(SecurityGroup.default_of == project_id))
    if found is not None: return found
    group = SecurityGroup(name=DEFAULT, description="Default security group", project_id=project_id, default_of=project_id)
    try:
        with db.begin_nested():
            db.add(group)
            db.flush()
    except IntegrityError:  # another request made it in this moment (PostgreSQL; SQLite has one writer)
        return db.scalars(select(SecurityGroup.id).where(SecurityGroup.default_of == project_id)).one()
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(db, group, "egress", ethertype)
        _add_rule(db, group, "ingress", ethertype, remote_group_id=group.id)
    db.flush()
    return group.id


def _add_rule(db: Session, group: SecurityGroup, direction: str, ethertype: str, **more: Any) -> None:
    rule = SecurityGroupRule(security_group_id=group.id, project_id=group.project_id, direction=direction, ethertype=ethertype,
                             description="", **more)
    rule.twin = says(rule)
    db.add(rule)


def ensure_default(database: Database, project_id: str) -> None:
    """Makes the project's default group if it is not there; takes the writer's lock only then."""
    if not project_id: return
    with database.read() as db:
        if db.execute(select(SecurityGroup.id).where(SecurityGroup.default_of == project_id)).first(): return
    with database.write() as db: default_group(db, project_id)


def list_groups(call: Call) -> dict[str, Any]:
    """GET /v2.0/security-groups"""
    assert call.application is not None
    RESOURCE.permit(call, "list")
    ensure_default(call.application.database, call.project_id)
    with call.application.database.read() as call.db: return list_(RESOURCE, call)


def check(call: Call, group: SecurityGroup, values: dict[str, Any]) -> None:
    """There is one default group; a new group lets everything out and nothing in."""
    assert call.db is not None
    if group.name == DEFAULT: raise errors.SecurityGroupDefaultAlreadyExists()
    default_group(call.db, group.project_id)
    call.db.add(group)
    call.db.flush()
    for ethertype in ("IPv4", "IPv6"): _add_rule(call.db, group, "egress", ethertype)
    call.db.flush()


def change(call: Call, group: SecurityGroup, changes: dict[str, Any]) -> None:
    """The default group keeps its name; whether a group is stateful is settled while no port is in it."""
    assert call.db is not None
    check_revision(call, group)
    refuse_agents(call, "update_security_group")
    if "name" in changes and changes["name"] != group.name and DEFAULT in (group.name, changes["name"]):
        raise errors.SecurityGroupCannotUpdateDefault()
    if "stateful" in changes and changes["stateful"] != group.stateful and _has_ports(call.db, group.id):
        raise errors.SecurityGroupInUse(id=group.id, reason="in use")


def _has_ports(db: Session, group_id: str) -> bool:
    return db.execute(select(PortGroup.port_id).where(PortGroup.security_group_id == group_id).limit(1)).first() is not None


def remove(call: Call, group: SecurityGroup) -> None:
    """Its rules, and rules of others that name it, go with it."""
    assert call.db is not None
    check_revision(call, group)
    refuse_agents(call, "delete_security_group")
    if group.default_of and not call.is_admin: raise errors.SecurityGroupCannotRemoveDefault()
    if _has_ports(call.db, group.id): raise errors.SecurityGroupInUse(id=group.id, reason="in use")
    named = or_(SecurityGroupRule.security_group_id == group.id, SecurityGroupRule.remote_group_id == group.id)
    for rule in call.db.query(SecurityGroupRule).where(named): call.db.delete(rule)
    call.db.flush()


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Each group shows its rules."""
    assert call.db is not None
    rules: dict[str, list[Any]] = {row.id: [] for row in rows}
    ids = list(rules)
    table = SecurityGroupRule.__table__
    for at in range(0, len(ids), 500):
        some = select(table).where(table.c.security_group_id.in_(ids[at:at + 500]))
        for rule in call.db.execute(some.order_by(table.c.created_at, table.c.id)): rules[rule.security_group_id].append(rule)
    for row, body in zip(rows, bodies, strict=True):
        body["security_group_rules"] = RULE.render(call, rules[row.id])
        body["shared"] = False


def usable_ids(call: Call, ids: list[str], project_id: str) -> list[str]:
    """The ids, checked for a port of that project. Raises SecurityGroupNotFound for one that neither the caller nor the project has,
    SecurityGroupConflict."""
    assert call.db is not None
    if len(set(ids)) < len(ids): raise errors.InvalidInput(error_message="Duplicate items in the list of security groups")
    allowed = [or_(SecurityGroup.project_id == project_id, *RESOURCE.scope(call))] if not call.is_admin else []
    known = {id: stateful for id, stateful in call.db.execute(
        select(SecurityGroup.id, SecurityGroup.stateful).where(SecurityGroup.id.in_(ids), *allowed))} if ids else {}
    for id in ids:
        if id not in known: raise errors.SecurityGroupNotFound(id=id)
    if len(set(known.values())) > 1: raise errors.SecurityGroupConflict()
    return ids


RESOURCE = Resource(
    SecurityGroup, "security_group", "/v2.0/security-groups", NEUTRON, verbs=("show", "create", "update", "delete"), quota="security_group",
    policy=SEEN_BY_AGENTS, missing=errors.SecurityGroupNotFound, visible=own_or_granted(SecurityGroup, "security_group"),
    filters=tag_filters(SecurityGroup), on_create=check, on_update=change, on_delete=remove, on_render=render)
ROUTES = [Route("/v2.0/security-groups", "GET", list_groups, None)]
