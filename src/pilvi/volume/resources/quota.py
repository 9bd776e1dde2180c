"""Quotas and limits: how many volumes, snapshots and GiB a project may have.

Source: Block Storage API v3, "Quota sets extension (os-quota-sets)", "Quota class set extension", "Limits".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import listing, quota
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.quota import Kind, NovaQuotaExceeded
from pilvi.core.resource import PERSONAS
from pilvi.core.wire import Base
from pilvi.volume import errors
from pilvi.volume.config import Config
from pilvi.volume.resources.tables import Snapshot, Volume

SHOW, UPDATE = "volume_extension:quotas:show", "volume_extension:quotas:update"
RULES = {SHOW: Rule(PERSONAS["reader"]), UPDATE: Rule(PERSONAS["admin"]),
         "volume_extension:quota_classes": Rule(PERSONAS["admin"]), "limits_extension:used_limits": Rule(PERSONAS["reader"])}
MOST = 2**31 - 1
EXCEEDED = {"volumes": errors.VolumesExceeded, "snapshots": errors.SnapshotsExceeded, "gigabytes": errors.GigabytesExceeded}


class Quota(Base):
    """A limit that an administrator set for a project."""
    __tablename__ = "volume_quotas"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int]


def _volumes(db: Session, project_id: str) -> int:
    counted = select(func.count()).where(Volume.project_id == project_id, Volume.deleted_at.is_(None), Volume.consumes_quota)
    return int(db.execute(counted).scalar_one())


def _snapshots(db: Session, project_id: str) -> int:
    return int(db.execute(select(func.count()).where(Snapshot.project_id == project_id, Snapshot.deleted_at.is_(None))).scalar_one())


def _gigabytes(db: Session, project_id: str) -> int:
    volumes = select(func.sum(func.coalesce(Volume.new_size, Volume.size))).where(
        Volume.project_id == project_id, Volume.deleted_at.is_(None), Volume.consumes_quota)
    snapshots = select(func.sum(Snapshot.size)).where(Snapshot.project_id == project_id, Snapshot.deleted_at.is_(None))
    return int(db.execute(volumes).scalar() or 0) + int(db.execute(snapshots).scalar() or 0)


def _nothing(db: Session, project_id: str) -> int:
    return 0


def kinds(config: Config) -> dict[str, Kind]:
    """The counted kinds. Those of backups and groups are kept for clients that set them all; nothing of them can be made here."""
    return {"volumes": Kind(config.quota_volumes, _volumes), "per_volume_gigabytes": Kind(config.per_volume_gigabytes, _nothing),
            "snapshots": Kind(config.quota_snapshots, _snapshots), "gigabytes": Kind(config.quota_gigabytes, _gigabytes),
            "backups": Kind(10, _nothing), "backup_gigabytes": Kind(1000, _nothing), "groups": Kind(10, _nothing)}


def own_limits(db: Session, project_id: str) -> dict[str, int]:
    """What an administrator set for the project."""
    return {kind: limit for kind, limit in db.execute(select(Quota.kind, Quota.limit).where(Quota.project_id == project_id))}


def check(call: Call, project_id: str, **asked: int) -> None:
    """Raises Cinder's quota errors if the project may not have so many more. In the caller's write transaction."""
    for kind, amount in asked.items():
        try: quota.check(call, kind, project_id, amount)
        except NovaQuotaExceeded as failure: raise EXCEEDED[kind](**failure.facts) from None


def check_size(call: Call, project_id: str, size: int) -> None:
    """Raises VolumeTooLarge if no single volume may be so large."""
    limit = quota.limits_of(call, project_id)["per_volume_gigabytes"]
    if 0 <= limit < size: raise errors.VolumeTooLarge(size=size, limit=limit)


def _used(call: Call, project_id: str) -> dict[str, int]:
    assert call.application is not None and call.db is not None
    return {name: kind.used(call.db, project_id) for name, kind in call.application.state["quota_kinds"].items()}


def show(call: Call, project_id: str) -> dict[str, Any]:
    """GET of a project's limits; usage=True adds what it uses."""
    assert call.request is not None
    if not call.allowed(SHOW, {"project_id": project_id}): raise Forbidden(action=SHOW)
    limits: dict[str, Any] = dict(quota.limits_of(call, project_id))
    if listing.truth_of(call.request.one("usage")):
        used = _used(call, project_id)
        limits = {name: {"limit": limit, "in_use": used[name], "reserved": 0} for name, limit in limits.items()}
    return {"quota_set": {"id": project_id} | limits}


def defaults(call: Call, project_id: str) -> dict[str, Any]:
    """GET of the limits of a project for which none were set."""
    assert call.application is not None
    if not call.allowed(SHOW, {"project_id": project_id}): raise Forbidden(action=SHOW)
    return {"quota_set": {"id": project_id} | {name: kind.limit for name, kind in call.application.state["quota_kinds"].items()}}


def update(call: Call, project_id: str) -> dict[str, Any]:
    """PUT of some limits of a project."""
    assert call.application is not None and call.db is not None
    given = {name: limit for name, limit in call.body["quota_set"].items() if name not in ("tenant_id", "force")}
    if unknown := set(given) - set(call.application.state["quota_kinds"]):
        raise errors.InvalidInput(reason=f"Bad key(s) in quota set: {', '.join(sorted(unknown))[:200]}")
    for name, limit in given.items():
        number = int(limit)
        if not -1 <= number <= MOST: raise errors.InvalidInput(reason=f"{name} must be between -1 and {MOST}")
        call.db.merge(Quota(project_id=project_id, kind=name, limit=number))
    call.db.flush()
    return {"quota_set": dict(quota.limits_of(call, project_id))}


def reset(call: Call, project_id: str) -> None:
    """DELETE: the defaults count again."""
    assert call.db is not None
    call.db.execute(delete(Quota).where(Quota.project_id == project_id))


def show_class(call: Call, name: str) -> dict[str, Any]:
    """GET of a quota class; there is one, the defaults."""
    assert call.application is not None
    return {"quota_set": {"id": name} | {kind: value.limit for kind, value in call.application.state["quota_kinds"].items()}}


def limits(call: Call) -> dict[str, Any]:
    """GET of the caller's limits and what is used of them."""
    granted, used = quota.limits_of(call, call.project_id), _used(call, call.project_id)
    return {"limits": {"rate": [], "absolute": {
        "maxTotalVolumes": granted["volumes"], "maxTotalSnapshots": granted["snapshots"],
        "maxTotalVolumeGigabytes": granted["gigabytes"], "maxTotalBackups": granted["backups"],
        "maxTotalBackupGigabytes": granted["backup_gigabytes"], "totalVolumesUsed": used["volumes"],
        "totalSnapshotsUsed": used["snapshots"], "totalGigabytesUsed": used["gigabytes"], "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0}}}


BODY = {"type": "object", "required": ["quota_set"], "properties": {"quota_set": {
    "type": "object", "additionalProperties": {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,10}$"},
    "properties": {"tenant_id": {"type": "string"}, "force": {"type": "boolean"}}}}, "additionalProperties": False}
PATH = "/v3/os-quota-sets/{project_id}"
ROUTES = [
    Route(PATH, "GET", show, None, transaction="read"),
    Route(PATH + "/defaults", "GET", defaults, None, transaction="read"),
    Route(PATH, "PUT", update, UPDATE, transaction="write", body=BODY),
    Route(PATH, "DELETE", reset, UPDATE, transaction="write"),
    Route("/v3/os-quota-class-sets/{name}", "GET", show_class, "volume_extension:quota_classes"),
    Route("/v3/limits", "GET", limits, "limits_extension:used_limits", transaction="read"),
]
