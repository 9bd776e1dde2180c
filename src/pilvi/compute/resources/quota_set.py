"""Quotas and limits of compute.

Source: Compute API, "Quota sets", "Limits"; microversions 2.36, 2.50, 2.57.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.compute.resources.keypair import Keypair
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.server_group import ServerGroup
from pilvi.core import quota
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.quota import Kind
from pilvi.core.wire import Base


class QuotaLimit(Base):
    """A project's own limit."""
    __tablename__ = "compute_quota_limits"
    project_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    limit: Mapped[int]


def _count(db: Session, project_id: str) -> int:
    return db.scalar(select(func.count()).select_from(Server).where(Server.project_id == project_id, Server.deleted_at.is_(None))) or 0


def _sum(name: str) -> Any:
    def used(db: Session, project_id: str) -> int:
        return sum(f[name] for f in db.scalars(select(Server.flavor).where(Server.project_id == project_id, Server.deleted_at.is_(None))))

    return used


def _groups(db: Session, project_id: str) -> int:
    return db.scalar(select(func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)) or 0


def _nothing(db: Session, project_id: str) -> int:
    return 0


def _keys(db: Session, user_id: str) -> int:
    return db.scalar(select(func.count()).select_from(Keypair).where(Keypair.user_id == user_id)) or 0


KINDS = {"instances": Kind(10, _count), "cores": Kind(20, _sum("vcpus")), "ram": Kind(51200, _sum("ram")), "key_pairs": Kind(100, _keys),
         "metadata_items": Kind(128, _nothing), "server_groups": Kind(10, _groups), "server_group_members": Kind(10, _nothing)}


def limits(db: Session, project_id: str) -> dict[str, int]:
    """A project's own limits."""
    return {kind: limit for kind, limit in db.execute(select(QuotaLimit.kind, QuotaLimit.limit).where(QuotaLimit.project_id == project_id))}


def _old(call: Call) -> dict[str, int]:
    """Kinds that were limited before 2.36 / 2.57."""
    return {"injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255} if call.version < (2, 57) else {}


def _mine(call: Call, id: str) -> None:
    if id != call.project_id and not call.is_admin: raise Forbidden(action="os_compute_api:os-quota-sets:show")


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /os-quota-sets/{project}"""
    _mine(call, id)
    return {"quota_set": {"id": id, **quota.limits_of(call, id), **_old(call)}}


def defaults(call: Call, id: str) -> dict[str, Any]:
    """GET /os-quota-sets/{project}/defaults"""
    return {"quota_set": {"id": id, **{name: kind.limit for name, kind in KINDS.items()}, **_old(call)}}


def detail(call: Call, id: str) -> dict[str, Any]:
    """GET /os-quota-sets/{project}/detail"""
    assert call.db is not None
    _mine(call, id)
    db = call.db
    return {"quota_set": {"id": id, **{name: {"limit": limit, "in_use": KINDS[name].used(db, id), "reserved": 0}
                                       for name, limit in quota.limits_of(call, id).items()}}}


def update(call: Call, id: str) -> dict[str, Any]:
    """PUT /os-quota-sets/{project}"""
    assert call.db is not None
    for kind, limit in call.body["quota_set"].items():
        if kind in KINDS: call.db.merge(QuotaLimit(project_id=id, kind=kind, limit=int(limit)))
    call.db.flush()
    return {"quota_set": {**quota.limits_of(call, id), **_old(call)}}


def reset(call: Call, id: str) -> None:
    """DELETE /os-quota-sets/{project}: back to the defaults"""
    assert call.db is not None
    call.db.execute(delete(QuotaLimit).where(QuotaLimit.project_id == id))


def show_limits(call: Call) -> dict[str, Any]:
    """GET /limits"""
    assert call.db is not None and call.request is not None
    project = dict(call.request.query).get("tenant_id") if call.is_admin else None
    id = project or call.project_id
    known, db = quota.limits_of(call, id), call.db
    used = {name: KINDS[name].used(db, id) for name in ("instances", "cores", "ram")}
    absolute = {
        "maxTotalInstances": known["instances"], "maxTotalCores": known["cores"], "maxTotalRAMSize": known["ram"],
        "maxTotalKeypairs": known["key_pairs"], "maxServerMeta": known["metadata_items"], "maxServerGroups": known["server_groups"],
        "maxServerGroupMembers": known["server_group_members"], "totalInstancesUsed": used["instances"], "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"], "totalServerGroupsUsed": KINDS["server_groups"].used(db, id)}
    if call.version < (2, 57): absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240, "maxImageMeta": 128}
    return {"limits": {"rate": [], "absolute": absolute}}


LIMIT = {"type": ["integer", "string"], "minimum": -1, "maximum": 2**31 - 1, "pattern": "^-?[0-9]{1,9}$"}
BODY = {"type": "object", "required": ["quota_set"], "additionalProperties": False, "properties": {"quota_set": {
    "type": "object", "additionalProperties": False, "properties": {
        **dict.fromkeys([*KINDS, "injected_files", "injected_file_content_bytes", "injected_file_path_bytes", "fixed_ips", "floating_ips",
                         "security_groups", "security_group_rules", "networks"], LIMIT), "force": {"type": ["boolean", "string"]},
        "tenant_id": {"type": "string"}}}}}
_Q, _L = "os_compute_api:os-quota-sets:", "os_compute_api:limits"
RULES = {_Q + "show": Rule("@"), _Q + "update": Rule("role:admin"), _L: Rule("@")}
_PATH = "/v2.1/os-quota-sets/{id}"
ROUTES = [
    Route(_PATH, "GET", show, _Q + "show", transaction="read"),
    Route(_PATH + "/defaults", "GET", defaults, _Q + "show", transaction="read"),
    Route(_PATH + "/detail", "GET", detail, _Q + "show", transaction="read"),
    Route(_PATH, "DELETE", reset, _Q + "update", status=202, transaction="write"),
    Route(_PATH, "PUT", update, _Q + "update", transaction="write", body=BODY),
    Route("/v2.1/limits", "GET", show_limits, _L, transaction="read"),
]
