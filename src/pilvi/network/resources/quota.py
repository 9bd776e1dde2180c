"""Quotas: how many things a project may have, and how many it has.

Source: Networking API v2.0, "Quotas extension", "Quotas details extension".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pilvi.core import quota
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.wire import truth
from pilvi.network import errors
from pilvi.network.resources.standard import ADMIN
from pilvi.network.resources.tables import (
    FloatingIp,
    Network,
    Port,
    QuotaLimit,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Sharing,
    Subnet,
    SubnetPool,
)


def _counted(table: Any) -> Callable[[Session, str], int]:
    def used(db: Session, project_id: str) -> int:
        return db.scalar(select(func.count()).select_from(table).where(table.project_id == project_id)) or 0

    return used


KINDS = {"network": quota.Kind(100, _counted(Network)), "subnet": quota.Kind(100, _counted(Subnet)),
         "port": quota.Kind(500, _counted(Port)), "router": quota.Kind(10, _counted(Router)),
         "floatingip": quota.Kind(50, _counted(FloatingIp)),
         "security_group": quota.Kind(10, _counted(SecurityGroup)), "security_group_rule": quota.Kind(100, _counted(SecurityGroupRule)),
         "subnetpool": quota.Kind(-1, _counted(SubnetPool)), "rbac_policy": quota.Kind(10, _counted(Sharing))}
"""Neutron's defaults."""
LIMIT = {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,9}$", "minimum": -1, "maximum": 2147483647}
BODY = {"type": "object", "required": ["quota"], "properties": {"quota": {
    "type": "object", "additionalProperties": False, "properties": {
        **{kind: LIMIT for kind in KINDS}, "check_limit": {"type": ["boolean", "string"]}, "force": {"type": ["boolean", "string"]},
        "tenant_id": {"type": "string"}, "project_id": {"type": "string"}}}}}
RULES = {"get_quota": Rule(PERSONAS["reader"]), "update_quota": Rule(ADMIN), "delete_quota": Rule(ADMIN), "list_quotas": Rule(ADMIN)}


def own_limits(db: Session, project_id: str) -> dict[str, int]:
    """The limits that a project has of its own."""
    return {kind: limit for kind, limit in db.execute(select(QuotaLimit.kind, QuotaLimit.limit).where(QuotaLimit.project_id == project_id))}


def _may_see(call: Call, project_id: str) -> None:
    if not call.allowed("get_quota", {"project_id": project_id}): raise Forbidden(action="get_quota")


def show(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v2.0/quotas/{project_id}"""
    _may_see(call, project_id)
    return {"quota": quota.limits_of(call, project_id)}


def show_default(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v2.0/quotas/{project_id}/default"""
    _may_see(call, project_id)
    return {"quota": {name: kind.limit for name, kind in KINDS.items()}}


def show_details(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v2.0/quotas/{project_id}/details"""
    assert call.db is not None
    _may_see(call, project_id)
    return {"quota": {name: {"limit": limit, "used": KINDS[name].used(call.db, project_id), "reserved": 0}
                      for name, limit in quota.limits_of(call, project_id).items()}}


def list_all(call: Call) -> dict[str, Any]:
    """GET /v2.0/quotas: projects that have limits of their own."""
    assert call.db is not None
    ids = call.db.scalars(select(QuotaLimit.project_id).distinct().order_by(QuotaLimit.project_id))
    return {"quotas": [quota.limits_of(call, id) | {"project_id": id, "tenant_id": id} for id in ids]}


def change(call: Call, project_id: str) -> dict[str, Any]:
    """PUT /v2.0/quotas/{project_id}. With check_limit, a limit below what is in use is refused."""
    assert call.db is not None
    asked = call.body["quota"]
    limits = {kind: int(value) for kind, value in asked.items() if kind in KINDS}
    for kind, limit in limits.items():
        used = KINDS[kind].used(call.db, project_id) if truth(asked.get("check_limit", False)) else 0
        if 0 <= limit < used: raise errors.InvalidQuotaValue(kind=kind, used=used)
        call.db.merge(QuotaLimit(project_id=project_id, kind=kind, limit=limit))
    call.db.flush()
    return {"quota": quota.limits_of(call, project_id)}


def reset(call: Call, project_id: str) -> None:
    """DELETE /v2.0/quotas/{project_id}: the defaults hold again."""
    assert call.db is not None
    gone = call.db.execute(delete(QuotaLimit).where(QuotaLimit.project_id == project_id).returning(QuotaLimit.kind)).all()
    if not gone: raise errors.TenantQuotaNotFound(id=project_id)


def show_own(call: Call) -> dict[str, Any]:
    """GET /v2.0/quotas/tenant: whose quota the caller's is."""
    return {"tenant": {"tenant_id": call.project_id, "project_id": call.project_id}}


ONE = "/v2.0/quotas/{project_id}"
ROUTES = [
    Route("/v2.0/quotas", "GET", list_all, "list_quotas", transaction="read"),
    Route("/v2.0/quotas/tenant", "GET", show_own, "get_quota"), Route("/v2.0/quotas/project", "GET", show_own, "get_quota"),
    Route(ONE, "GET", show, None, transaction="read"),
    Route(ONE, "PUT", change, "update_quota", transaction="write", body=BODY),
    Route(ONE, "DELETE", reset, "delete_quota", transaction="write", status=204),
    Route(ONE + "/default", "GET", show_default, None, transaction="read"),
    Route(ONE + "/details", "GET", show_details, None, transaction="read"),
    Route(ONE + "/details.json", "GET", show_details, None, transaction="read")]
