"""Software configs: text that servers carry out, kept for deployments. A config never changes.

Source: Orchestration API, "Software configuration".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.orchestration import errors
from pilvi.orchestration.resources.lookup import own
from pilvi.orchestration.resources.tables import SoftwareConfig, SoftwareDeployment

RULES = {f"software_configs:{verb}": Rule(PERSONAS["reader" if verb in ("index", "show") else "member"])
         for verb in ("index", "show", "create", "delete")}
LISTS = {"type": ["array", "null"], "items": {"type": "object"}}
BODY = {"type": "object", "properties": {
    "name": {"type": ["string", "null"], "maxLength": 255}, "group": {"type": ["string", "null"], "maxLength": 255},
    "config": {}, "inputs": LISTS, "outputs": LISTS, "options": {"type": ["object", "null"]}}}


def told(row: SoftwareConfig, *, brief: bool = False) -> dict[str, Any]:
    """A config as the API shows it."""
    body: dict[str, Any] = {"id": row.id, "name": row.name, "group": row.group, "creation_time": clock.iso(row.created_at)}
    return body if brief else body | {"config": row.config, "inputs": row.inputs or [], "outputs": row.outputs or [],
                                      "options": row.options or {}}


def find(call: Call, config_id: str) -> SoftwareConfig:
    """Raises EntityUnknown."""
    return own(call, SoftwareConfig, config_id, "Software config")


def index(call: Call) -> dict[str, Any]:
    """GET /software_configs"""
    assert call.db is not None and call.request is not None
    query = select(SoftwareConfig).where(SoftwareConfig.project_id == call.project_id)
    rows = list(call.db.scalars(query.order_by(SoftwareConfig.created_at, SoftwareConfig.id)))
    marker, limit = call.request.one("marker"), call.request.one("limit")
    if marker is not None: rows = rows[next((n + 1 for n, row in enumerate(rows) if row.id == marker), 0):]
    if limit is not None and limit.isdigit() and int(limit): rows = rows[:int(limit)]
    return {"software_configs": [told(row, brief=True) for row in rows]}


def show(call: Call, config_id: str) -> dict[str, Any]:
    """GET /software_configs/{id}"""
    assert call.db is not None
    return {"software_config": told(find(call, config_id))}


def create(call: Call) -> dict[str, Any]:
    """POST /software_configs"""
    assert call.db is not None
    body = call.body
    row = SoftwareConfig(project_id=call.project_id, name=body.get("name") or "", group=body.get("group") or "Heat::Ungrouped",
                         config=body.get("config"), inputs=body.get("inputs") or [], outputs=body.get("outputs") or [],
                         options=body.get("options") or {}, created_at=clock.now())
    call.db.add(row)
    call.db.flush()
    return {"software_config": told(row)}


def delete(call: Call, config_id: str) -> Response:
    """DELETE /software_configs/{id}: not while a deployment uses it"""
    assert call.db is not None
    row = find(call, config_id)
    if call.db.execute(select(SoftwareDeployment.id).where(SoftwareDeployment.config_id == row.id).limit(1)).first():
        raise errors.RequestInvalid(reason=f"Software config with id {config_id} can not be deleted as it is referenced.")
    call.db.delete(row)
    return Response(204, None)


ROUTES = [
    Route("/v1/software_configs", "GET", index, "software_configs:index", transaction="read"),
    Route("/v1/software_configs", "POST", create, "software_configs:create", transaction="write", body=BODY),
    Route("/v1/software_configs/{config_id}", "GET", show, "software_configs:show", transaction="read"),
    Route("/v1/software_configs/{config_id}", "DELETE", delete, "software_configs:delete", transaction="write")]
