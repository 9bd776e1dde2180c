"""The manifest of network."""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.http.app import Application, Request
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.service import Service
from pilvi.network import extensions
from pilvi.network.conductor import HANDLERS
from pilvi.network.config import Config
from pilvi.network.port import explain
from pilvi.network.reconciler import Reconciler
from pilvi.network.resources import (
    address_scope,
    availability,
    floating_ip,
    network,
    port,
    quota,
    rbac_policy,
    router,
    router_interface,
    security_group,
    security_group_rule,
    standard,
    subnet,
    subnet_pool,
    tag,
)
from pilvi.network.resources.tables import Allocation, Pool, PortGroup, QuotaLimit

TAGGED = [network.RESOURCE, subnet.RESOURCE, port.RESOURCE, router.RESOURCE, floating_ip.RESOURCE, security_group.RESOURCE,
          subnet_pool.RESOURCE]
RESOURCES = [*TAGGED, security_group_rule.RESOURCE, rbac_policy.RESOURCE, address_scope.RESOURCE]


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /"""
    return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": request.base + "/v2.0/"}]}]}


def show_version(call: Call) -> dict[str, Any]:
    """GET /v2.0: what there is."""
    return {"resources": [{"name": resource.name, "collection": resource.path.rpartition("/")[2],
                           "links": [{"rel": "self", "href": call.url(resource.path)}]} for resource in RESOURCES]}


def start(application: Application) -> None:
    """`run/` has put the backend into the state as "network_backend"; from now on it follows the rows."""
    application.state |= {"quota_kinds": quota.KINDS, "quota_limits": quota.own_limits}
    application.state["network_reconciler"] = reconciler = Reconciler(application)
    reconciler.start()


def stop(application: Application) -> None:
    """Ends the loops."""
    application.state["network_reconciler"].stop()


SERVICE = Service(
    name="network", types=("network",), path="", dialect=NEUTRON, versions=versions, config=Config, start=start, stop=stop,
    resources=RESOURCES, tables=[Allocation, Pool, PortGroup, QuotaLimit],
    rules={"get_version": Rule("@"), **standard.RULES, **quota.RULES, **availability.RULES, **extensions.RULES},
    routes=[Route("/v2.0", "GET", show_version, "get_version"), *security_group.ROUTES, *router.ROUTES, *router_interface.ROUTES,
            *tag.routes(TAGGED), *quota.ROUTES, *availability.ROUTES, *extensions.ROUTES, *explain.ROUTES],
    handlers={"network.conductor": HANDLERS},
)
