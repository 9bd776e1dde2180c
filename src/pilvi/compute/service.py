"""The manifest of compute."""
from __future__ import annotations

from typing import Any

from pilvi.compute.conductor import HANDLERS
from pilvi.compute.config import Config
from pilvi.compute.resources import (
    aggregate,
    console,
    diagnostics,
    flavor,
    hold,
    host,
    interface,
    keypair,
    quota_set,
    server,
    server_action,
    server_create,
    server_group,
    server_label,
    task,
    tenant_usage,
    volume_attachment,
)
from pilvi.compute.resources.attachment import BlockDevice
from pilvi.compute.resources.flavor import FlavorAccess
from pilvi.compute.scheduler import worker as scheduler
from pilvi.compute.server.flows import FLOWS
from pilvi.compute.server.orphans import give_back
from pilvi.compute.server.overdue import settle_overdue
from pilvi.core.context import Call
from pilvi.core.dialect import NOVA
from pilvi.core.http import cors
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.microversion import Microversions, dotted
from pilvi.core.service import Loop, Service
from pilvi.core.task import Worker

VERSIONS = Microversions(("compute",), (2, 1), (2, 96), legacy="x-openstack-nova-api-version")


def version(base: str) -> dict[str, Any]:
    """The version document's inner part."""
    return {"id": "v2.1", "status": "CURRENT", "version": dotted(VERSIONS.most), "min_version": dotted(VERSIONS.least),
            "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": base + "/v2.1/"}]}


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /"""
    return 200, {"versions": [version(request.base)]}


def show_version(call: Call) -> Response:
    """GET /v2.1"""
    assert call.request is not None
    kinds = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]
    return Response(200, {"version": version(call.request.base) | {"media-types": kinds}})


def list_extensions(call: Call) -> dict[str, Any]:
    """GET /extensions: none are told apart since microversions exist"""
    return {"extensions": []}


def start(application: Application) -> None:
    """Starts the task workers; the scheduler and the conductor listen on the bus by the manifest."""
    def hand_over(queue: str, work: Any) -> None:
        scheduler.hand_over(application, queue.removeprefix("host:"), work.id)

    worker = Worker(application, task.Task, FLOWS, hand_over=hand_over)
    application.state |= {"fleet": host.Fleet(), "worker": worker, "hand_over": hand_over, "quota_kinds": quota_set.KINDS,
                          "quota_limits": quota_set.limits}
    worker.start()


def stop(application: Application) -> None:
    """Ends the workers after their current step."""
    application.state["worker"].stop()


VERSION_HEADER = "X-OpenStack-Nova-API-Version"
PAGES = cors.Headers((*cors.USUAL.allowed, VERSION_HEADER), (*cors.USUAL.exposed, VERSION_HEADER))
SERVICE = Service(
    name="compute", types=("compute",), path="/v2.1", dialect=NOVA, versions=versions, microversions=VERSIONS, config=Config,
    optional_project="/v2.1", start=start, stop=stop, cors=PAGES,
    resources=[server.RESOURCE, flavor.RESOURCE, keypair.RESOURCE, server_group.RESOURCE],
    tables=[aggregate.Aggregate, FlavorAccess, BlockDevice, task.Task, task.SpanRow, task.Action, host.Host, console.ConsoleTicket,
            quota_set.QuotaLimit],
    flows=list(FLOWS.values()),
    handlers={"compute.scheduler": {"select_host": scheduler.select_host}, "compute.conductor": HANDLERS},
    loops=[Loop("settle overdue tasks", 5, settle_overdue), Loop("give back orphans", 60, give_back)],
    rules={**flavor.RULES, **hold.RULES, **host.RULES, **aggregate.RULES, **task.RULES, **console.RULES, **diagnostics.RULES,
           **volume_attachment.RULES,
           **interface.RULES, **quota_set.RULES, **tenant_usage.RULES,
           "os_compute_api:extensions": task.RULES["os_compute_api:os-instance-actions:list"]},
    routes=[
        Route("/v2.1", "GET", show_version, ANYONE), Route("/v2.1/extensions", "GET", list_extensions, "os_compute_api:extensions"),
        *server_create.ROUTES, *server.ROUTES, *server_action.ROUTES, *server_label.ROUTES, *volume_attachment.ROUTES, *interface.ROUTES,
        *task.ROUTES, *console.ROUTES, *diagnostics.ROUTES, *hold.ROUTES, *host.ROUTES, *aggregate.ROUTES, *flavor.ROUTES,
        *quota_set.ROUTES, *tenant_usage.ROUTES,
    ])
