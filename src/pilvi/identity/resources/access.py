"""Where a token's user may go: /v3/auth/projects, /v3/auth/domains, /v3/auth/system.

Source: Identity API v3, "Get available project scopes", "… domain scopes", "… system scopes".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.identity.resources import domain, project
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project


def _ids(call: Call, kind: str) -> Any:
    return select(Assignment.target_id).where(Assignment.actor_id == call.user_id, Assignment.target_kind == kind)


def _links(call: Call, path: str) -> dict[str, Any]:
    return {"self": call.url(path), "next": None, "previous": None}


def projects(call: Call) -> dict[str, Any]:
    """GET /v3/auth/projects"""
    assert call.db is not None
    rows = list(call.db.query(Project).where(Project.id.in_(_ids(call, "project")), Project.enabled).order_by(Project.name))
    return {"projects": project.RESOURCE.render(call, rows), "links": _links(call, "/v3/auth/projects")}


def domains(call: Call) -> dict[str, Any]:
    """GET /v3/auth/domains"""
    assert call.db is not None
    rows = list(call.db.query(Domain).where(Domain.id.in_(_ids(call, "domain")), Domain.enabled).order_by(Domain.name))
    return {"domains": domain.RESOURCE.render(call, rows), "links": _links(call, "/v3/auth/domains")}


def system(call: Call) -> dict[str, Any]:
    """GET /v3/auth/system"""
    assert call.db is not None
    found = call.db.execute(_ids(call, "system")).first()
    return {"system": [{"all": True}] if found else [], "links": _links(call, "/v3/auth/system")}


RULES = {"identity:get_auth_scopes": Rule("@")}
ROUTES = [
    Route("/v3/auth/projects", "GET", projects, "identity:get_auth_scopes", transaction="read"),
    Route("/v3/auth/domains", "GET", domains, "identity:get_auth_scopes", transaction="read"),
    Route("/v3/auth/system", "GET", system, "identity:get_auth_scopes", transaction="read"),
]
