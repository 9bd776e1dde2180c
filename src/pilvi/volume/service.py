"""The manifest of volume."""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete

from pilvi.core import clock
from pilvi.core.conductor import cast
from pilvi.core.context import Call
from pilvi.core.dialect import CINDER
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.microversion import Microversions, dotted
from pilvi.core.policy import Rule
from pilvi.core.service import Loop, Service
from pilvi.core.task import Worker
from pilvi.volume.conductor import HANDLERS, give_up_overdue
from pilvi.volume.config import Config
from pilvi.volume.resources import attachment, host, message, quota, snapshot, volume, volume_action
from pilvi.volume.resources import type as volume_type
from pilvi.volume.resources.message import VolumeMessage
from pilvi.volume.resources.task import VolumeTask
from pilvi.volume.volume.flows import FLOWS

VERSIONS = Microversions(("volume", "block-storage", "volumev3", "block-store"), (3, 0), (3, 71))


def version(base: str) -> dict[str, Any]:
    """The version document's inner part."""
    return {"id": "v3.0", "status": "CURRENT", "version": dotted(VERSIONS.most), "min_version": dotted(VERSIONS.least),
            "updated": "2023-08-31T00:00:00Z", "links": [
                {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}, {"rel": "self", "href": base + "/v3/"}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}]}


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /: 300, as Cinder answers."""
    return 300, {"versions": [version(request.base)]}


def show_version(call: Call) -> Response:
    """GET /v3"""
    assert call.request is not None
    return Response(200, {"versions": [version(call.request.base)]})


def list_extensions(call: Call) -> dict[str, Any]:
    """GET /v3/extensions: what older clients look for before they dare to ask."""
    known = {"os-volume-actions": "VolumeActions", "os-quota-sets": "Quotas", "os-services": "Services", "os-used-limits": "UsedLimits",
             "os-availability-zone": "AvailabilityZones", "scheduler-stats": "Scheduler_stats", "os-types-extra-specs": "TypesExtraSpecs",
             "os-vol-image-meta": "VolumeImageMetadata", "os-vol-host-attr": "VolumeHostAttribute", "os-admin-actions": "AdminActions",
             "os-vol-tenant-attr": "VolumeTenantAttribute", "OS-SCH-HNT": "SchedulerHints", "os-extended-snapshot-attributes":
             "ExtendedSnapshotAttributes"}
    return {"extensions": [{"alias": alias, "name": name, "description": name, "links": [], "namespace": "", "updated":
                            "2012-01-01T00:00:00+00:00"} for alias, name in known.items()]}


def start(application: Application) -> None:
    """Makes the default type and starts the task workers; the conductor listens on the bus by the manifest."""
    def hand_over(queue: str, work: Any) -> None:
        cast(application, queue.removeprefix("host:"), work.id)

    volume_type.ensure_default(application.database)
    application.state |= {"worker": Worker(application, VolumeTask, FLOWS, hand_over=hand_over),
                          "quota_kinds": quota.kinds(application.config), "quota_limits": quota.own_limits}
    application.state["worker"].start()


def stop(application: Application) -> None:
    """Ends the workers after their current step."""
    application.state["worker"].stop()


def forget_messages(application: Application) -> None:
    """Messages are kept as long as they said."""
    with application.database.write() as db: db.execute(delete(VolumeMessage).where(VolumeMessage.guaranteed_until < clock.now()))


SERVICE = Service(
    name="volume", types=("block-storage", "volumev3"), path="/v3/%(project_id)s", dialect=CINDER, versions=versions,
    microversions=VERSIONS, config=Config, optional_project="/v3", start=start, stop=stop,
    resources=[volume.RESOURCE, snapshot.RESOURCE, attachment.RESOURCE, volume_type.RESOURCE, message.RESOURCE],
    tables=[quota.Quota, host.VolumeHost, VolumeTask], flows=list(FLOWS.values()), handlers={"volume.conductor": HANDLERS},
    loops=[Loop("give up overdue tasks", 30, give_up_overdue), Loop("forget messages", 3600, forget_messages)],
    rules={**volume.RULES, **volume_action.RULES, **snapshot.RULES, **volume_type.RULES, **quota.RULES, **host.RULES,
           "volume:extensions": Rule("@")},
    routes=[
        Route("/v3", "GET", show_version, ANYONE), Route("/v3/extensions", "GET", list_extensions, "volume:extensions"),
        *volume.ROUTES, *volume_action.ROUTES, *snapshot.ROUTES, *attachment.ROUTES, *volume_type.ROUTES, *quota.ROUTES, *host.ROUTES,
    ])
