"""The manifest of telemetry: Gnocchi under /metric, Aodh under /alarming, rating under /rating; one application, one database."""
from __future__ import annotations

from typing import Any

from pilvi.core.dialect import TELEMETRY
from pilvi.core.events import Subscription
from pilvi.core.http.app import Application, Request
from pilvi.core.service import Loop, Service
from pilvi.telemetry.collect import census, events, servers
from pilvi.telemetry.config import Config
from pilvi.telemetry.resources import (
    access,
    aggregates,
    archive_policy,
    event,
    measure,
    metric,
    prometheus,
    resource,
    resource_list,
    resource_type,
    status,
)
from pilvi.telemetry.resources.tables import (
    ArchivePolicy,
    ArchivePolicyRule,
    Bucket,
    Kept,
    LifecycleEvent,
    Metric,
    MetricResource,
    MetricRevision,
    ResourceType,
)

CENSUS_SECONDS = 300.0


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /: of the three APIs the one that is asked for."""
    kind = request.base.rstrip("/").rpartition("/")[2]
    if kind == "alarming":
        link = {"href": f"{request.base}/v2", "rel": "self"}
        described = {"href": "https://docs.openstack.org/", "rel": "describedby", "type": "text/html"}
        return 200, {"versions": {"values": [{"id": "v2", "links": [link, described], "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.telemetry-v2+json"}], "status": "stable",
            "updated": "2013-02-13T00:00:00Z"}]}}
    link = {"href": f"{request.base}/v1/", "rel": "self"}
    return 200, {"build": "4.7.1", "versions": [{"id": "v1.0", "status": "CURRENT", "updated": "2015-03-19", "links": [link]}]}


def start(application: Application) -> None:
    """Furnishes a new database with the archive policies and resource types that every cloud has."""
    with application.database.write() as db:
        archive_policy.furnish(db)
        resource_type.furnish(db)


SERVICE = Service(
    name="telemetry", types=("metric", "alarming", "rating"), path="", dialect=TELEMETRY, versions=versions, config=Config, start=start,
    tables=[ArchivePolicy, ArchivePolicyRule, ResourceType, MetricResource, MetricRevision, Metric, Bucket, Kept, LifecycleEvent],
    handlers={"telemetry.collector": {"servers": servers.on_servers, "host": servers.on_host}},
    subscriptions=(Subscription("*", events.on_events),),
    loops=[Loop("census", CENSUS_SECONDS, census.take), Loop("forget events", 3600, events.forget)],
    rules={**access.RULES, **archive_policy.RULES, **resource_type.RULES, **event.RULES, **status.RULES},
    routes=[*status.ROUTES, *archive_policy.ROUTES, *resource_type.ROUTES, *metric.ROUTES, *resource_list.ROUTES, *resource.ROUTES,
            *measure.ROUTES, *aggregates.ROUTES, *event.ROUTES, *prometheus.ROUTES],
)
