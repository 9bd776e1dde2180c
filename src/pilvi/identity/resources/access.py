"""Where a token's user may go: /v3/auth/projects, /v3/auth/domains, /v3/auth/system.

Source: Identity API v3, "Get available project scopes", "… domain scopes", "… system scopes".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.identity.resources import domain, project
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.effective_role import target_ids
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.relative import find, links, listed, target
from pilvi.identity.token.validate import read


def projects(call: Call) -> dict[str, Any]:
    """GET /v3/auth/projects: those that are enabled, in a domain that is."""
    assert call.db is not None
    rows = list(call.db.query(Project).join(Domain, Domain.id == Project.domain_id).where(
        Project.id.in_(target_ids(call.user_id, "project", _groups(call))), Project.enabled, Domain.enabled).order_by(Project.name))
    return {"projects": project.RESOURCE.render(call, rows), "links": links(call)}


def domains(call: Call) -> dict[str, Any]:
    """GET /v3/auth/domains"""
    assert call.db is not None
    wanted = target_ids(call.user_id, "domain", _groups(call))
    rows = list(call.db.query(Domain).where(Domain.id.in_(wanted), Domain.enabled).order_by(Domain.name))
    return {"domains": domain.RESOURCE.render(call, rows), "links": links(call)}


def system(call: Call) -> dict[str, Any]:
    """GET /v3/auth/system"""
    assert call.db is not None
    found = call.db.execute(target_ids(call.user_id, "system", _groups(call))).first()
    return {"system": [{"all": True}] if found else [], "links": links(call)}


def _groups(call: Call) -> list[str]:
    """The groups that a federated login brought along."""
    assert call.application is not None
    payload = read(call.application, call.token)
    return payload.federated[2] if payload and payload.federated else []


def list_projects_of(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/users/{id}/projects: where the user has a role, its own, a group's or an inherited one."""
    permit(call, "list_user_projects", target(call, user=id), user_id=id)
    find(call, "user", id)
    return listed(call, "project", target_ids(id, "project"))


ROUTES = [
    Route("/v3/users/{id}/projects", "GET", list_projects_of, None, transaction="read"),
    Route("/v3/OS-FEDERATION/projects", "GET", projects, "identity:get_auth_projects", transaction="read"),
    Route("/v3/OS-FEDERATION/domains", "GET", domains, "identity:get_auth_domains", transaction="read"),
    Route("/v3/auth/projects", "GET", projects, "identity:get_auth_projects", transaction="read"),
    Route("/v3/auth/domains", "GET", domains, "identity:get_auth_domains", transaction="read"),
    Route("/v3/auth/system", "GET", system, "identity:get_auth_system", transaction="read"),
]
