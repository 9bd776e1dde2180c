"""Software deployments: configs given to servers. A server learns its deployments from the metadata of its stack's resource.

Source: Orchestration API, "Software configuration" (deployments, server configuration deployment metadata).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.orchestration.resources import software_config
from pilvi.orchestration.resources.lookup import own
from pilvi.orchestration.resources.tables import SoftwareConfig, SoftwareDeployment, Stack, StackResource

RULES = {f"software_deployments:{verb}": Rule(PERSONAS["reader" if verb in ("index", "show", "metadata") else "member"])
         for verb in ("index", "show", "metadata", "create", "update", "delete")}
TEXT = {"type": ["string", "null"], "maxLength": 255}
FIELDS = {"action": TEXT, "status": TEXT, "status_reason": {"type": ["string", "null"], "maxLength": 65536},
          "input_values": {"type": ["object", "null"]}, "output_values": {"type": ["object", "null"]}, "config_id": TEXT}
CREATE = {"type": "object", "properties": {**FIELDS, "config_id": {"type": "string"}, "server_id": {"type": "string"},
                                           "deployment_id": TEXT}, "required": ["config_id", "server_id"]}
UPDATE = {"type": "object", "properties": FIELDS}


def told(row: SoftwareDeployment) -> dict[str, Any]:
    """A deployment as the API shows it."""
    return {"id": row.id, "server_id": row.server_id, "config_id": row.config_id, "action": row.action, "status": row.status,
            "status_reason": row.status_reason, "input_values": row.input_values or {}, "output_values": row.output_values,
            "creation_time": clock.iso(row.created_at), "updated_time": None if row.updated_at is None else clock.iso(row.updated_at)}


def find(call: Call, deployment_id: str) -> SoftwareDeployment:
    """Raises EntityUnknown."""
    return own(call, SoftwareDeployment, deployment_id, "Deployment")


def index(call: Call) -> dict[str, Any]:
    """GET /software_deployments?server_id="""
    assert call.db is not None and call.request is not None
    query = select(SoftwareDeployment).where(SoftwareDeployment.project_id == call.project_id)
    server = call.request.one("server_id")
    if server is not None: query = query.where(SoftwareDeployment.server_id == server)
    return {"software_deployments": [told(row) for row in call.db.scalars(query.order_by(SoftwareDeployment.number))]}


def show(call: Call, deployment_id: str) -> dict[str, Any]:
    """GET /software_deployments/{id}"""
    assert call.db is not None
    return {"software_deployment": told(find(call, deployment_id))}


def metadata(call: Call, server_id: str) -> dict[str, Any]:
    """GET /software_deployments/metadata/{server_id}: what the server is to carry out, in order"""
    assert call.db is not None
    return {"metadata": for_server(call.db, call.project_id, server_id)}


def for_server(db: Session, project_id: str, server_id: str) -> list[dict[str, Any]]:
    """A server's deployments as its agent wants them: the config with the deployment's inputs, under the deployment's id."""
    pairs = select(SoftwareDeployment, SoftwareConfig).join(SoftwareConfig, SoftwareConfig.id == SoftwareDeployment.config_id)
    rows = db.execute(pairs.where(SoftwareDeployment.server_id == server_id, SoftwareDeployment.project_id == project_id)
                      .order_by(SoftwareDeployment.number))
    return [software_config.told(config) | {"id": deployment.config_id, "deployment_id": deployment.id} for deployment, config in rows]


def create(call: Call) -> dict[str, Any]:
    """POST /software_deployments"""
    assert call.db is not None
    body = call.body
    software_config.find(call, body["config_id"])
    number = (call.db.scalar(select(func.max(SoftwareDeployment.number)).where(SoftwareDeployment.server_id == body["server_id"])) or 0) + 1
    row = SoftwareDeployment(
        id=body.get("deployment_id") or new_id(), project_id=call.project_id, config_id=body["config_id"], server_id=body["server_id"],
        action=body.get("action"), status=body.get("status"), status_reason=body.get("status_reason"), number=number,
        input_values=body.get("input_values") or {}, created_at=clock.now())
    call.db.add(row)
    call.db.flush()
    tell_server(call.db, row.project_id, row.server_id)
    return {"software_deployment": told(row)}


def update(call: Call, deployment_id: str) -> dict[str, Any]:
    """PUT /software_deployments/{id}"""
    assert call.db is not None
    row = find(call, deployment_id)
    for name in FIELDS:
        if name in call.body: setattr(row, name, call.body[name])
    row.updated_at = clock.now()
    if call.body.get("config_id"): software_config.find(call, row.config_id)
    call.db.flush()
    tell_server(call.db, row.project_id, row.server_id)
    return {"software_deployment": told(row)}


def delete(call: Call, deployment_id: str) -> Response:
    """DELETE /software_deployments/{id}"""
    assert call.db is not None
    row = find(call, deployment_id)
    call.db.delete(row)
    call.db.flush()
    tell_server(call.db, row.project_id, row.server_id)
    return Response(204, None)


def tell_server(db: Session, project_id: str, server_id: str) -> None:
    """Writes the server's deployments into the metadata of the resource that it is. In the caller's transaction."""
    found = db.scalar(select(StackResource).join(Stack, Stack.id == StackResource.stack_id).where(
        StackResource.physical_id == server_id, Stack.project_id == project_id, Stack.deleted_at.is_(None)).with_for_update())
    if found is not None: found.meta = {**(found.meta or {}), "deployments": for_server(db, project_id, server_id)}


ITEM = "/v1/software_deployments/{deployment_id}"
ROUTES = [
    Route("/v1/software_deployments", "GET", index, "software_deployments:index", transaction="read"),
    Route("/v1/software_deployments", "POST", create, "software_deployments:create", transaction="write", body=CREATE),
    Route("/v1/software_deployments/metadata/{server_id}", "GET", metadata, "software_deployments:metadata", transaction="read"),
    Route(ITEM, "GET", show, "software_deployments:show", transaction="read"),
    Route(ITEM, "PUT", update, "software_deployments:update", transaction="write", body=UPDATE),
    Route(ITEM, "DELETE", delete, "software_deployments:delete", transaction="write")]
