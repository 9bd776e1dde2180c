"""Snapshot: a volume as it was at one moment; new volumes can be made of it.

Source: Block Storage API v3, "Volume snapshots (snapshots)"; microversions 3.41, 3.65, 3.66 (force).
"""
from __future__ import annotations

import ast
from typing import Any

from sqlalchemy import and_, select

from pilvi.core import task
from pilvi.core.context import Call
from pilvi.core.dialect import CINDER
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, Resource
from pilvi.core.state import WrongState
from pilvi.volume import errors
from pilvi.volume.resources import metadata, quota, source
from pilvi.volume.resources.tables import Snapshot, Volume
from pilvi.volume.snapshot.states import SNAPSHOT, STATES

RESET, FORCE = "volume_extension:snapshot_admin_actions:reset_status", "volume_extension:snapshot_admin_actions:force_delete"
RULES = {RESET: Rule(PERSONAS["admin"]), FORCE: Rule(PERSONAS["admin"])}


def take(call: Call, snapshot: Snapshot, values: dict[str, Any]) -> None:
    """Checks the volume and the quota and starts the making. In the request's transaction. Raises VolumeNotFound, InvalidVolume."""
    assert call.db is not None and call.application is not None
    scope = [] if call.is_admin else [Volume.project_id == call.project_id]
    volume = call.db.execute(select(Volume).where(Volume.id == snapshot.volume_id, Volume.deleted_at.is_(None), *scope)).scalars().first()
    if volume is None: raise errors.VolumeNotFound(id=snapshot.volume_id)
    source.lock(call.db, volume.id)
    if call.version >= (3, 66) and values.get("force") is False:
        raise errors.InvalidInput(reason="Since microversion 3.66 the 'force' flag is invalid for this request. For backward "
                                         "compatibility, however, when the 'force' flag is passed with a value evaluating to True, it "
                                         "is silently ignored.")
    if volume.status != "available":
        hint = "; a volume in use has to be detached first" if volume.status == "in-use" else ""
        raise errors.InvalidVolume(reason=f"Volume {volume.id} status must be available, but current status is: {volume.status}{hint}.")
    quota.check(call, snapshot.project_id, snapshots=1, gigabytes=volume.size)
    snapshot.size, snapshot.host, snapshot.user_id = volume.size, volume.host, call.user_id
    snapshot.user_metadata = snapshot.user_metadata or {}
    call.application.state["worker"].begin(call.db, "create_snapshot", snapshot.id, {"host": volume.host, "volume_id": volume.id})


def remove(call: Call, snapshot: Snapshot) -> bool:
    """Starts the removal; the row stays as a tombstone."""
    begin_removal(call, snapshot, force=False)
    return True


def begin_removal(call: Call, snapshot: Snapshot, *, force: bool) -> None:
    """Starts the removal of a snapshot. Raises InvalidSnapshot."""
    assert call.db is not None and call.application is not None
    db, worker = call.db, call.application.state["worker"]
    volume = source.lock(db, snapshot.volume_id)
    if volume.status in ("in-use", "attaching", "reserved", "detaching"):
        raise errors.InvalidSnapshot(reason=f"its volume {volume.id} is {volume.status}; it has to be detached first.")
    making = select(Volume.id).where(Volume.snapshot_id == snapshot.id, Volume.busy == "creating", Volume.deleted_at.is_(None))
    if db.execute(making).first() and not force: raise errors.InvalidSnapshot(reason="a volume is being made of it.")
    try: SNAPSHOT.begin(db, Snapshot, snapshot.id, "force_delete" if force else "delete")
    except WrongState:
        if snapshot.status == "deleting": return
        raise errors.InvalidSnapshot(reason="Snapshot status must be available or error and must not be part of a group.") from None
    task.cancel(db, worker.table, snapshot.id)
    worker.begin(db, "delete_snapshot", snapshot.id, {"host": snapshot.host, "volume_id": snapshot.volume_id})


def act(call: Call, id: str) -> None:
    """POST of an action of administrators: os-reset_status, os-force_delete."""
    assert call.db is not None
    snapshot = RESOURCE.find(call, id)
    if "os-force_delete" in call.body:
        if not call.allowed(FORCE, {"project_id": snapshot.project_id}): raise Forbidden(action=FORCE)
        begin_removal(call, snapshot, force=True)
        return
    if not call.allowed(RESET, {"project_id": snapshot.project_id}): raise Forbidden(action=RESET)
    wanted = call.body["os-reset_status"]["status"].lower()
    SNAPSHOT.force(call.db, Snapshot, id, wanted)


def add_words(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for row, body in zip(rows, bodies, strict=True): body["metadata"] = row.user_metadata or {}


def by_metadata(call: Call, values: list[str]) -> Any:
    """?metadata={'key': 'value'}"""
    try: words = ast.literal_eval(values[-1])
    except (ValueError, SyntaxError): words = None
    if not isinstance(words, dict): raise errors.InvalidInput(reason="metadata must be a mapping of words")
    return and_(*metadata.holds(call, Snapshot.__table__.c.user_metadata, {str(k): str(v) for k, v in words.items()}))


RESOURCE = Resource(
    Snapshot, "snapshot", "/v3/snapshots", CINDER, missing=errors.SnapshotNotFound,
    event={"create": "snapshot.create.start"}, default_sort=[("created_at", True)],
    brief=("id", "name", "description", "volume_id", "status", "size", "metadata", "created_at", "updated_at", "user_id"),
    alive=lambda call: Snapshot.deleted_at.is_(None), filters={"metadata": by_metadata},
    policy={"list": "reader", "show": "reader", "create": "member", "update": "member", "delete": "member"},
    on_create=take, on_delete=remove, on_render=add_words)
ACTION = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False, "properties": {
    "os-force_delete": {}, "os-reset_status": {"type": "object", "required": ["status"], "additionalProperties": False,
                                               "properties": {"status": {"enum": sorted(STATES - {"deleted"})}}}}}
ROUTES = [Route("/v3/snapshots/{id}/action", "POST", act, None, status=202, transaction="write", body=ACTION), *metadata.routes(RESOURCE)]
