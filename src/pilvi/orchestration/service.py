"""The manifest of orchestration."""
from __future__ import annotations

from typing import Any

from pilvi.core.dialect import HEAT
from pilvi.core.http.app import Application, Request
from pilvi.core.service import Loop, Service
from pilvi.orchestration.resources import (
    action,
    catalogue,
    event,
    export,
    output,
    resource,
    snapshot,
    software_config,
    software_deployment,
    stack,
)
from pilvi.orchestration.resources.tables import (
    SoftwareConfig,
    SoftwareDeployment,
    Stack,
    StackEvent,
    StackResource,
    StackSnapshot,
    StackTask,
)
from pilvi.orchestration.stack.credentials import Acting, release_of_deleted
from pilvi.orchestration.stack.door import Door
from pilvi.orchestration.stack.engine import StackEngine, end_overdue
from pilvi.orchestration.stack.plans import Plans
from pilvi.orchestration.stack.tidy import forget_the_past


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /: 300, as Heat answers."""
    return 300, {"versions": [{"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": request.base + "/v1/"}]}]}


def start(application: Application) -> None:
    """Starts the engine."""
    application.state |= {"plans": Plans(), "acting": Acting(application), "door": Door(application)}
    application.state["engine"] = StackEngine(application)
    application.state["engine"].start()


def stop(application: Application) -> None:
    """Ends the engine after its current turns."""
    application.state["engine"].stop()


SERVICE = Service(
    name="orchestration", types=("orchestration",), path="/v1/%(project_id)s", dialect=HEAT, versions=versions, optional_project="/v1",
    start=start, stop=stop, tables=[Stack, StackResource, StackTask, StackEvent, StackSnapshot, SoftwareConfig, SoftwareDeployment],
    loops=[Loop("end overdue stacks", 2, end_overdue), Loop("end trusts of deleted stacks", 10, release_of_deleted),
           Loop("forget the past of stacks", 3600, forget_the_past)],
    rules={**stack.RULES, **resource.RULES, **event.RULES, **action.RULES, **catalogue.RULES,
           **software_config.RULES, **software_deployment.RULES},
    routes=[*stack.ROUTES, *resource.ROUTES, *event.ROUTES, *output.ROUTES, *action.ROUTES, *catalogue.ROUTES,
            *export.ROUTES, *snapshot.ROUTES, *software_config.ROUTES, *software_deployment.ROUTES])
