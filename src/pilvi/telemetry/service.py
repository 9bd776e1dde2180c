"""The manifest of telemetry: Gnocchi under /metric, Aodh under /alarming, rating under /rating; one application, one database."""
from __future__ import annotations

from typing import Any

from pilvi.core.dialect import TELEMETRY
from pilvi.core.events import Subscription
from pilvi.core.http import cors
from pilvi.core.http.app import Application, Request
from pilvi.core.service import Loop, Service
from pilvi.telemetry.alarm.event import on_events as alarm_on_events
from pilvi.telemetry.alarm.notify import Notifier
from pilvi.telemetry.alarm.watch import evaluate_due
from pilvi.telemetry.collect import census, events, series, servers
from pilvi.telemetry.config import Config
from pilvi.telemetry.rating import worker as rating
from pilvi.telemetry.resources import (
    access,
    aggregates,
    alarm,
    alarm_quota,
    archive_policy,
    cloudkitty,
    event,
    invoice,
    live,
    measure,
    metric,
    price,
    prometheus,
    resource,
    resource_list,
    resource_type,
    status,
    usage,
)
from pilvi.telemetry.resources.alarm_tables import AlarmQuota, Notice
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
    price.furnish(application.database, application.config)
    application.state["notifier"] = Notifier(application)
    application.state["notifier"].start()


def stop(application: Application) -> None:
    """Ends the notices that are being told."""
    application.state["notifier"].stop()


PAGES = cors.Headers(("Authorization", "X-Subject-Token", "X-Domain-Id", "X-Project-Id", *cors.USUAL.allowed), cors.USUAL.exposed)
SERVICE = Service(
    name="telemetry", types=("metric", "alarming", "rating"), path="", dialect=TELEMETRY, versions=versions, config=Config, start=start,
    stop=stop, cors=PAGES, resources=[alarm.RESOURCE, alarm.CHANGE, price.RESOURCE],
    tables=[ArchivePolicy, ArchivePolicyRule, ResourceType, MetricResource, MetricRevision, Metric, Bucket, Kept, LifecycleEvent,
            AlarmQuota, Notice, usage.UsageFact, rating.Census],
    handlers={"telemetry.collector": {"servers": servers.on_servers, "host": servers.on_host}},
    subscriptions=(Subscription("*", events.on_events), Subscription("*", alarm_on_events),
                   *(Subscription(pattern, rating.on_events) for pattern in rating.EVENTS)),
    loops=[Loop("census", CENSUS_SECONDS, census.take), Loop("forget events", 3600, events.forget),
           Loop("forget measures", 3600, series.forget),
           Loop("evaluate alarms", 5, evaluate_due), Loop("rating census", 60, rating.count),
           Loop("object usage", 60, rating.measure_objects)],
    rules={**access.RULES, **archive_policy.RULES, **resource_type.RULES, **event.RULES, **status.RULES,
           **alarm.RULES, **alarm_quota.RULES, **usage.RULES, **invoice.RULES, **cloudkitty.RULES},
    routes=[*status.ROUTES, *archive_policy.ROUTES, *resource_type.ROUTES, *metric.ROUTES, *resource_list.ROUTES, *resource.ROUTES,
            *measure.ROUTES, *aggregates.ROUTES, *event.ROUTES, *prometheus.ROUTES, *live.ROUTES,
            *alarm.ROUTES, *alarm_quota.ROUTES, *usage.ROUTES, *invoice.ROUTES, *cloudkitty.ROUTES],
)
