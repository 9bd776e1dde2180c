"""The tables of volumes, snapshots, attachments and types, which look at one another; what each does is in the file of its name.

Source: Block Storage API v3, "Volumes", "Volume snapshots", "Attachments", "Volume types"; microversions named at the fields.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Computed, String
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.db.types import Instant, Json
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, Field, Identified, Timed, boolean, field, instant, integer, json, mapping, text, uuid

GIB = 2**30
LARGEST_GIB = 2**31 - 1


def status() -> Any:
    """What the API calls status: the busy word while something is being done, else the state. The database derives it."""
    return mapped_column(String(32), Computed("coalesce(busy, state)", persisted=True), info={"wire": Field(text(32))})


class Volume(Identified, Timed, Base):
    __tablename__ = "volume_volumes"
    TOLD = ("state", "busy", "host", "deleted_at")
    status: Mapped[str] = status()
    state: Mapped[str] = mapped_column(String(32), default="creating")
    busy: Mapped[str | None] = mapped_column(String(32), default="creating")
    project_id: Mapped[str] = field(text(64), wire="os-vol-tenant-attr:tenant_id", index=True, nullable=False)
    user_id: Mapped[str | None] = field(text(64))
    name: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    size: Mapped[int] = field(integer(1, LARGEST_GIB), create=OPTIONAL)
    new_size: Mapped[int | None] = mapped_column()
    """What it is growing to; counts in the quota from the request on."""
    availability_zone: Mapped[str | None] = field(text(255), create=OPTIONAL)
    type_id: Mapped[str | None] = field(text(255), create=OPTIONAL, wire="volume_type")
    user_metadata: Mapped[dict[str, str]] = field(mapping(), create=OPTIONAL, update=True, default=dict, nullable=True, wire="metadata",
                                                  filter=False)
    image_metadata: Mapped[dict[str, str] | None] = mapped_column(Json)
    """What the image said of itself (volume_image_metadata)."""
    image_id: Mapped[str | None] = field(text(255), create=OPTIONAL, wire="imageRef", show=False, filter=False)
    snapshot_id: Mapped[str | None] = field(uuid(), create=OPTIONAL)
    source_volid: Mapped[str | None] = field(uuid(), create=OPTIONAL)
    backup_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, since="3.47", show=False, filter=False)
    consistencygroup_id: Mapped[str | None] = field(uuid(), create=OPTIONAL)
    group_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, since="3.13")
    bootable: Mapped[bool] = field(boolean(), default=False)
    readonly: Mapped[bool] = mapped_column(default=False)
    encrypted: Mapped[bool] = field(boolean(), default=False)
    multiattach: Mapped[bool] = field(boolean(), create=OPTIONAL, default=False, nullable=True)
    replication_status: Mapped[str | None] = field(text(32))
    migration_status: Mapped[str | None] = field(text(32), show="admin")
    provider_id: Mapped[str | None] = field(text(255), since="3.21", show="admin", filter=False)
    service_uuid: Mapped[str | None] = field(text(64), since="3.48", filter=False)
    shared_targets: Mapped[bool] = field(boolean(), default=False, since="3.48", filter=False)
    cluster_name: Mapped[str | None] = field(text(255), since="3.61", show="admin", filter=False)
    consumes_quota: Mapped[bool] = field(boolean(), default=True, since="3.65")
    host: Mapped[str | None] = field(text(255), wire="os-vol-host-attr:host", show=False, filter=False)
    backend: Mapped[str | None] = mapped_column(String(64))
    """The driver's name on its host."""
    connection: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """How its host opens it, as the driver said when it was made."""
    deleted_at: Mapped[float | None] = mapped_column(Instant, index=True)


class Snapshot(Identified, Timed, Base):
    __tablename__ = "volume_snapshots"
    TOLD = ("state", "busy", "deleted_at")
    status: Mapped[str] = status()
    state: Mapped[str] = mapped_column(String(32), default="creating")
    busy: Mapped[str | None] = mapped_column(String(32), default="creating")
    project_id: Mapped[str] = field(text(64), wire="os-extended-snapshot-attributes:project_id", index=True, nullable=False)
    progress: Mapped[str] = field(text(8), default="0%", wire="os-extended-snapshot-attributes:progress", filter=False)
    user_id: Mapped[str | None] = field(text(64), since="3.41")
    name: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    volume_id: Mapped[str] = field(text(255), create=REQUIRED, index=True)
    size: Mapped[int] = field(integer(1, LARGEST_GIB))
    user_metadata: Mapped[dict[str, str]] = field(mapping(), create=OPTIONAL, default=dict, nullable=True, wire="metadata", filter=False)
    force: Mapped[bool] = field(boolean(), create=OPTIONAL, default=False, nullable=True, show=False, filter=False)
    group_snapshot_id: Mapped[str | None] = field(uuid(), since="3.14")
    consumes_quota: Mapped[bool] = field(boolean(), default=True, since="3.65")
    host: Mapped[str | None] = mapped_column(String(255))
    deleted_at: Mapped[float | None] = mapped_column(Instant, index=True)


class Attachment(Identified, Base):
    __tablename__ = "volume_attachments"
    status: Mapped[str] = field(text(32), default="reserved")
    """reserved, attaching, attached: how far it has come. The volume's status follows from it."""
    instance_uuid: Mapped[str | None] = field(text(64), wire="instance", index=True)
    volume_id: Mapped[str] = field(text(64), index=True, nullable=False)
    project_id: Mapped[str] = field(text(64), show=False, nullable=False)
    attached_at: Mapped[float | None] = field(instant(), filter=False)
    detached_at: Mapped[float | None] = field(instant(), filter=False)
    attach_mode: Mapped[str | None] = field(text(16))
    connection_info: Mapped[dict[str, Any]] = field(json(), default=dict, filter=False)
    host_name: Mapped[str | None] = mapped_column(String(255))
    device: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)


class VolumeType(Identified, Base):
    __tablename__ = "volume_types"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, unique=True)
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    is_public: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True, wire="os-volume-type-access:is_public")
    extra_specs: Mapped[dict[str, str]] = field(mapping(), create=OPTIONAL, default=dict, filter=False)
    qos_specs_id: Mapped[str | None] = field(text(64), filter=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    """What a volume is for which no type was asked; exactly one is."""
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
