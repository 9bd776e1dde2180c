"""Volume: a block device of a project.

Source: Block Storage API v3, "Volumes (volumes)"; microversions 3.12 (summary), 3.23 (force), 3.36, 3.45 (count), 3.60, 3.63 (type's id).
"""
from __future__ import annotations

import ast
import operator
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from pilvi.core import clock, listing, task
from pilvi.core.context import Call
from pilvi.core.dialect import CINDER
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, Resource, list_
from pilvi.core.state import WrongState
from pilvi.volume import errors
from pilvi.volume.resources import metadata, quota, snapshot, source
from pilvi.volume.resources import type as volume_type
from pilvi.volume.resources.tables import Attachment, Snapshot, Volume, VolumeType
from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import VOLUME

SUMMARY, FORCE = "volume:get_all", "volume:force_delete"
RULES = {SUMMARY: Rule(PERSONAS["reader"]), FORCE: Rule(PERSONAS["admin"])}
COMPARISONS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "neq": operator.ne}


def named_project(call: Call) -> str | None:
    """The project in the request's path, if it is written there."""
    assert call.request is not None
    first = call.request.path.removeprefix("/v3/").partition("/")[0]
    return first if len(first) == 32 and all(c in "0123456789abcdef" for c in first) else None


def visible(call: Call) -> Any:
    """A user sees its project's volumes; an agent those that its grant names, and those it made in a project that the grant names."""
    made = and_(Volume.user_id == call.user_id, Volume.project_id.in_(call.grant.get("project", [])))
    return or_(Volume.project_id == call.project_id, Volume.id.in_(call.grant.get("volume", [])), made)


def prepare(call: Call, values: dict[str, Any]) -> None:
    """An agent makes volumes for projects that its grant names, and for no others; the image is looked up."""
    if "id" in values: return  # an update
    project_id = named_project(call)
    if project_id and call.granted("project", project_id): values["project_id"] = project_id
    elif not call.is_admin and "member" not in call.identity.roles: raise Forbidden(action="volume:create")
    hints = call.body.get("OS-SCH-HNT:scheduler_hints") or {}
    if call.is_admin or "service" in call.identity.roles: values["wanted_host"] = hints.get("host")
    values["image_facts"] = source.look_up(call, values)


def fill_in(call: Call, volume: Volume, values: dict[str, Any]) -> None:
    """Checks the source, the quota and the zone, and starts the making. In the request's transaction."""
    assert call.db is not None and call.application is not None
    if values.get("multiattach"):
        raise errors.InvalidInput(reason="multiattach parameter has been removed. The default behavior is to use multiattach enabled "
                                         "volume types. Contact your administrator to create a multiattach enabled volume type and use it "
                                         "to create multiattach volumes.")
    for name in ("consistencygroup_id", "group_id", "backup_id"):
        if values.get(name): raise errors.InvalidInput(reason=f"{name}: this cloud has no groups and no volume backups.")
    volume.multiattach = False
    volume.user_metadata = volume.user_metadata or {}
    volume.user_id = call.user_id
    volume.type_id = volume_type.resolve(call, volume.type_id).id if volume.type_id else None
    only_host, source_id = _take_source(call, volume, values.get("image_facts"))
    volume.type_id = volume.type_id or volume_type.default(call.db).id
    zone = call.application.config.availability_zone
    volume.availability_zone = volume.availability_zone or zone
    if volume.availability_zone != zone: raise errors.InvalidZone(zone=volume.availability_zone)
    quota.check_size(call, volume.project_id, volume.size)
    quota.check(call, volume.project_id, volumes=1, gigabytes=volume.size)
    call.application.state["worker"].begin(call.db, "create", volume.id, {
        "size": volume.size, "only_host": only_host or values.get("wanted_host"), "image_id": volume.image_id,
        "snapshot_id": volume.snapshot_id, "source_id": source_id})


def _take_source(call: Call, volume: Volume, image_facts: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """(the host on which the volume must be made, the volume whose bytes are copied); None: any, none."""
    given = [name for name in (volume.image_id, volume.snapshot_id, volume.source_volid) if name]
    if len(given) > 1: raise errors.InvalidInput(reason="May specify only one of snapshot, imageRef or source volume")
    if volume.snapshot_id:
        origin = _origin(call, snapshot.RESOURCE, volume.snapshot_id, volume.project_id)
        source.take_snapshot(call, volume, origin)
        return origin.host, origin.volume_id
    if volume.source_volid:
        parent = _origin(call, RESOURCE, volume.source_volid, volume.project_id)
        source.take_volume(call, volume, parent)
        return parent.host, parent.id
    if volume.size is None:
        raise errors.InvalidInput(reason="Volume size 'None' must be an integer and greater than 0")
    if image_facts: source.take_image(volume, image_facts)
    return None, None


def _origin(call: Call, resource: Resource, id: str, project_id: str) -> Any:
    """The source, if it exists for the caller; for an agent, if it is of the project for which it makes the volume."""
    assert call.db is not None
    if not call.granted("project", project_id): return resource.find(call, id)
    mine = {"id": id, "project_id": project_id, "deleted_at": None}
    found = call.db.query(resource.table).filter_by(**mine).first()
    if found is None: raise resource.missing(id=id)
    return found


def remove(call: Call, volume: Volume) -> bool:
    """Refuses what is in use or has snapshots (unless cascade), and starts the removal; the row stays as a tombstone."""
    assert call.db is not None and call.request is not None
    cascade = listing.truth_of(call.request.one("cascade"))
    force = call.version >= (3, 23) and listing.truth_of(call.request.one("force"))
    if force and not call.allowed(FORCE, {"project_id": volume.project_id}): raise Forbidden(action=FORCE)
    begin_removal(call, volume, cascade=cascade, force=force)
    return True


def begin_removal(call: Call, volume: Volume, *, cascade: bool, force: bool) -> None:
    """Starts the removal of a volume, and of its snapshots with `cascade`. Raises InvalidVolume."""
    assert call.db is not None and call.application is not None
    db, worker = call.db, call.application.state["worker"]
    held = db.execute(select(Attachment.id).where(Attachment.volume_id == volume.id)).first() is not None
    snapshots = db.execute(select(Snapshot).where(Snapshot.volume_id == volume.id, Snapshot.deleted_at.is_(None))).scalars().all()
    if (snapshots and not cascade) or (held and volume.status == "in-use"): raise _not_deletable(force)
    if not force and (held or source.being_copied(db, volume.id)): raise _not_deletable(force)
    try: VOLUME.begin(db, Volume, volume.id, "force_delete" if force else "delete")
    except WrongState:
        if volume.status == "deleting": return
        raise _not_deletable(force) from None
    for child in snapshots:
        try: SNAPSHOT.begin(db, Snapshot, child.id, "force_delete" if force else "delete")
        except WrongState: raise errors.InvalidVolume(reason="Failed to update snapshot.") from None
        task.cancel(db, worker.table, child.id)
    task.cancel(db, worker.table, volume.id)
    if volume.host is None: bury(db, volume.id)
    else: worker.begin(db, "delete", volume.id, {"host": volume.host})


def bury(db: Session, volume_id: str) -> None:
    """The volume is gone, and its snapshots and attachments with it; tombstones stay. In the caller's transaction."""
    if not VOLUME.finish(db, Volume, volume_id, "delete", deleted_at=clock.now()): return
    gone = update(Snapshot).where(Snapshot.volume_id == volume_id, Snapshot.deleted_at.is_(None))
    db.execute(gone.values(deleted_at=clock.now()))
    db.execute(delete(Attachment).where(Attachment.volume_id == volume_id))


def _not_deletable(force: bool) -> errors.InvalidVolume:
    status = "" if force else " status must be available or error or error_restoring or error_extending or error_managing and"
    return errors.InvalidVolume(reason=f"Volume{status} must not be migrating, attached, belong to a group, have snapshots, awaiting a "
                                       "transfer, or be disassociated from snapshots after volume transfer.")


def replace_metadata(call: Call, volume: Volume, changes: dict[str, Any]) -> None:
    """PUT of a volume: null words mean none."""
    if "user_metadata" in changes: changes["user_metadata"] = changes["user_metadata"] or {}


# -- how a volume is shown


def add_views(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Adds type names, attachments and the words whose form is Cinder's alone."""
    assert call.db is not None
    ids = [row.id for row in rows]
    names = dict(call.db.execute(select(VolumeType.id, VolumeType.name)).all())
    attached: dict[str, list[dict[str, Any]]] = {}
    trusted = call.is_admin or "service" in call.identity.roles
    for held in call.db.execute(select(Attachment).where(Attachment.volume_id.in_(ids), Attachment.status == "attached")).scalars():
        attached.setdefault(held.volume_id, []).append(_attached(held, trusted))
    for row, body in zip(rows, bodies, strict=True):
        body["volume_type"] = names.get(row.type_id)
        body["bootable"] = str(bool(row.bootable)).lower()
        body["attachments"] = attached.get(row.id, [])
        body["metadata"] = dict(row.user_metadata or {}) | ({"readonly": "True"} if row.readonly else {})
        if row.image_metadata: body["volume_image_metadata"] = row.image_metadata
        if call.version >= (3, 63): body["volume_type_id"] = row.type_id
        if trusted: body["os-vol-host-attr:host"] = f"{row.host}@{row.backend}#{row.backend}" if row.host else None
        if call.is_admin: body |= {"os-vol-mig-status-attr:migstat": None, "os-vol-mig-status-attr:name_id": None}


def _attached(held: Attachment, trusted: bool) -> dict[str, Any]:
    return {"id": held.volume_id, "attachment_id": held.id, "volume_id": held.volume_id, "server_id": held.instance_uuid,
            "host_name": held.host_name if trusted else None, "device": held.device,
            "attached_at": CINDER.time(held.attached_at) if held.attached_at else None}


def list_volumes(call: Call, *, brief: bool) -> dict[str, Any]:
    """GET of volumes or volumes/detail; with_count adds how many there are in all."""
    assert call.request is not None and call.db is not None
    page = list_(RESOURCE, call, brief=brief)
    if call.version >= (3, 45) and listing.truth_of(call.request.one("with_count")):
        everyone = call.is_admin and listing.truth_of(call.request.one("all_tenants"))
        conditions = [*RESOURCE.scope(call, every_project=everyone), *listing.filters(call, RESOURCE)]
        page["count"] = call.db.execute(select(func.count()).select_from(Volume).where(*conditions)).scalar_one()
    return page


def summary(call: Call) -> dict[str, Any]:
    """GET of volumes/summary: how many, how large, which words."""
    assert call.request is not None and call.db is not None
    everyone = call.is_admin and listing.truth_of(call.request.one("all_tenants"))
    conditions = [*RESOURCE.scope(call, every_project=everyone), *listing.filters(call, RESOURCE)]
    rows = call.db.execute(select(Volume.size, Volume.user_metadata).where(*conditions)).all()
    shown: dict[str, Any] = {"total_count": len(rows), "total_size": sum(size for size, _ in rows)}
    if call.version >= (3, 36):
        words: dict[str, set[str]] = {}
        for _, held in rows:
            for key, value in (held or {}).items(): words.setdefault(key, set()).add(value)
        shown["metadata"] = {key: sorted(values) for key, values in words.items()}
    return {"volume-summary": shown}


# -- filters


def by_metadata(call: Call, values: list[str]) -> Any:
    """?metadata={'key': 'value'}, written as Python or JSON does."""
    try: words = ast.literal_eval(values[-1])
    except (ValueError, SyntaxError): words = None
    if not isinstance(words, dict): raise errors.InvalidInput(reason="metadata must be a mapping of words")
    return and_(*metadata.holds(call, Volume.__table__.c.user_metadata, {str(k): str(v) for k, v in words.items()}))


def by_project(call: Call, values: list[str]) -> Any:
    """?project_id= means something to an administrator alone."""
    return Volume.project_id.in_(values) if call.is_admin else None


def by_instant(column: Any) -> Any:
    """?created_at=gt:2026-01-01T00:00:00,lt:…"""
    def condition(call: Call, values: list[str]) -> Any:
        if call.version < (3, 60): return None
        found = []
        for word in values[-1].split(","):
            comparison, _, moment = word.partition(":")
            if comparison not in COMPARISONS: raise errors.InvalidInput(reason=f"Invalid {comparison[:40]} operator")
            try: found.append(COMPARISONS[comparison](column, clock.parse(moment)))
            except ValueError: raise errors.InvalidInput(reason=f"Invalid {moment[:40]} value") from None
        return and_(*found)

    return condition


RESOURCE = Resource(
    Volume, "volume", "/v3/volumes", CINDER, verbs=("show", "create", "update", "delete"), missing=errors.VolumeNotFound,
    event={"create": "volume.create.start"},
    alive=lambda call: Volume.deleted_at.is_(None), default_sort=[("created_at", True)],
    visible=visible,
    policy={"list": "role:admin or role:service or role:reader", "show": "role:admin or role:service or role:reader",
            "create": "role:admin or role:service or role:member", "update": "member", "delete": "member"},
    filters={"metadata": by_metadata, "project_id": by_project, "tenant_id": by_project,
             "created_at": by_instant(Volume.__table__.c.created_at), "updated_at": by_instant(Volume.__table__.c.updated_at)},
    beside={"OS-SCH-HNT:scheduler_hints": {"type": ["object", "null"]}},
    before=prepare, on_create=fill_in, on_update=replace_metadata, on_delete=remove, on_render=add_views)
ROUTES = [
    Route("/v3/volumes", "GET", lambda call: list_volumes(call, brief=True), None, transaction="read"),
    Route("/v3/volumes/detail", "GET", lambda call: list_volumes(call, brief=False), None, transaction="read"),
    route("/v3/volumes/summary", "GET", summary, SUMMARY, since="3.12", transaction="read"),
    *metadata.routes(RESOURCE),
]
