"""How many alarms a project may have.

Source: Alarming API v2 (Aodh), "Quotas".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete as delete_rows

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry.resources.alarm_tables import AlarmQuota

BODY = {"type": "object", "required": ["project_id"], "additionalProperties": False, "properties": {
    "project_id": {"type": "string", "minLength": 1, "maxLength": 64}, "quotas": {"type": "array", "maxItems": 10, "items": {
        "type": "object", "required": ["resource", "limit"], "additionalProperties": False, "properties": {
            "resource": {"enum": ["alarms"]}, "limit": {"type": "integer", "minimum": -1, "maximum": 2**31 - 1}}}}}}


def limit_of(call: Call, project_id: str) -> int:
    """The most alarms of a project, -1: no limit. In the caller's transaction."""
    assert call.db is not None and call.application is not None
    own = call.db.get(AlarmQuota, project_id)
    return own.limit if own else int(call.application.config.alarm_quota)


def _body(project_id: str, limit: int) -> dict[str, Any]:
    return {"project_id": project_id, "quotas": [{"resource": "alarms", "limit": limit}]}


def show(call: Call) -> dict[str, Any]:
    """GET /v2/quotas?project_id="""
    assert call.request is not None
    project_id = call.request.one("project_id") or call.project_id
    if not call.allowed("telemetry:get_quotas", {"project_id": project_id}): raise Forbidden(action="telemetry:get_quotas")
    return _body(project_id, limit_of(call, project_id))


def put(call: Call) -> dict[str, Any]:
    """POST /v2/quotas"""
    assert call.db is not None
    if not call.body.get("quotas"): raise Invalid("No quotas are given.")
    limit = call.body["quotas"][-1]["limit"]
    call.db.merge(AlarmQuota(project_id=call.body["project_id"], limit=limit))
    return _body(call.body["project_id"], limit)


def reset(call: Call, project_id: str) -> Response:
    """DELETE /v2/quotas/{project_id}: back to the default"""
    assert call.db is not None
    call.db.execute(delete_rows(AlarmQuota).where(AlarmQuota.project_id == project_id))
    return Response(204)


RULES = {"telemetry:get_quotas": Rule("role:admin or (role:reader and project_id:%(project_id)s)"),
         "telemetry:update_quotas": Rule("role:admin"), "telemetry:delete_quotas": Rule("role:admin")}
ROUTES = [
    Route("/v2/quotas", "GET", show, None, transaction="read"),
    Route("/v2/quotas", "POST", put, "telemetry:update_quotas", status=201, transaction="write", body=BODY),
    Route("/v2/quotas/{project_id}", "DELETE", reset, "telemetry:delete_quotas", transaction="write"),
]
