"""The tables of the metric API.

Source: Gnocchi REST API. Metrics have a small number beside their id, since it stands in each row of their buckets.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.wire import Base


class ArchivePolicy(Base):
    """Which statistics of a metric are kept, and how long."""
    __tablename__ = "telemetry_archive_policies"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    back_window: Mapped[int] = mapped_column(Integer, default=0)
    definition: Mapped[list[dict[str, Any]]] = mapped_column(Json())
    """[{granularity, points, timespan}], in seconds"""
    aggregation_methods: Mapped[list[str]] = mapped_column(Json())


class ArchivePolicyRule(Base):
    """The policy of new metrics whose names match a pattern."""
    __tablename__ = "telemetry_archive_policy_rules"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    metric_pattern: Mapped[str] = mapped_column(String(255))
    archive_policy_name: Mapped[str] = mapped_column(String(255))


class ResourceType(Base):
    """Which attributes resources of a kind have."""
    __tablename__ = "telemetry_resource_types"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    attributes: Mapped[dict[str, dict[str, Any]]] = mapped_column(Json())
    """{name: {type, required, …}}"""


class MetricResource(Base):
    """A thing that is measured."""
    __tablename__ = "telemetry_resources"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    type: Mapped[str] = mapped_column(String(255), index=True)
    original_resource_id: Mapped[str] = mapped_column(String(300))
    creator: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str | None] = mapped_column(String(255))
    project_id: Mapped[str | None] = mapped_column(String(255), index=True)
    started_at: Mapped[float] = mapped_column(Instant())
    ended_at: Mapped[float | None] = mapped_column(Instant())
    revision_start: Mapped[float] = mapped_column(Instant())
    attributes: Mapped[dict[str, Any]] = mapped_column(Json(), default=dict)


class MetricRevision(Base):
    """What a resource was like from `revision_start` to `revision_end`."""
    __tablename__ = "telemetry_resource_revisions"
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(36), index=True)
    type: Mapped[str] = mapped_column(String(255))
    original_resource_id: Mapped[str] = mapped_column(String(300))
    creator: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str | None] = mapped_column(String(255))
    project_id: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[float] = mapped_column(Instant())
    ended_at: Mapped[float | None] = mapped_column(Instant())
    revision_start: Mapped[float] = mapped_column(Instant())
    revision_end: Mapped[float] = mapped_column(Instant())
    attributes: Mapped[dict[str, Any]] = mapped_column(Json(), default=dict)


class Metric(Base):
    """One series of numbers; of a resource (then it has a name) or alone. `newest_*`: its latest sample."""
    __tablename__ = "telemetry_metrics"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(36), unique=True, default=new_id)
    resource_id: Mapped[str | None] = mapped_column(String(36))
    name: Mapped[str | None] = mapped_column(String(255))
    unit: Mapped[str | None] = mapped_column(String(31))
    archive_policy_name: Mapped[str] = mapped_column(String(255), index=True)
    creator: Mapped[str] = mapped_column(String(255))
    base: Mapped[float] = mapped_column(Float(53), default=0.0)
    """What a collected counter had reached when it last began again."""
    newest_at: Mapped[float | None] = mapped_column(Instant())
    newest: Mapped[float | None] = mapped_column(Float(53))
    __table_args__ = (Index("telemetry_metrics_named", "resource_id", "name", unique=True),
                      Index("telemetry_metrics_by_name", "name"), {"sqlite_autoincrement": True})
    # a number is never given twice: a collector may still hold that of a metric that is gone


class Bucket(Base):
    """The statistics of a metric's samples, or of their changes, in one bucket; columns that its policy does not need are empty."""
    __tablename__ = "telemetry_buckets"
    metric: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    rate: Mapped[bool] = mapped_column(Boolean, primary_key=True)
    granularity: Mapped[float] = mapped_column(Float(53), primary_key=True)
    at: Mapped[float] = mapped_column(Float(53), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[float] = mapped_column(Float(53))
    least: Mapped[float | None] = mapped_column(Float(53))
    most: Mapped[float | None] = mapped_column(Float(53))
    first_at: Mapped[float | None] = mapped_column(Float(53))
    first: Mapped[float | None] = mapped_column(Float(53))
    last_at: Mapped[float | None] = mapped_column(Float(53))
    last: Mapped[float | None] = mapped_column(Float(53))
    squares: Mapped[float | None] = mapped_column(Float(53))
    more: Mapped[dict[str, float] | None] = mapped_column(Json())
    __table_args__ = ({"sqlite_with_rowid": False},)


class Kept(Base):
    """Samples that may be needed once more: when others come late, or for percentiles."""
    __tablename__ = "telemetry_samples"
    metric: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Float(53), primary_key=True)
    value: Mapped[float] = mapped_column(Float(53))
    __table_args__ = ({"sqlite_with_rowid": False},)


class LifecycleEvent(Base):
    """Something that a service said had happened."""
    __tablename__ = "telemetry_events"
    service: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(128), index=True)
    at: Mapped[float] = mapped_column(Instant(), index=True)
    subject: Mapped[str] = mapped_column(String(255), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    user_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]] = mapped_column(Json())
