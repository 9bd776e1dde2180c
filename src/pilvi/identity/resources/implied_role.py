"""Implied role: whoever has the prior role has the implied one too.

Source: Identity API v3, "Roles" (role inferences).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.identity import errors
from pilvi.identity.resources.relative import find, links
from pilvi.identity.resources.role import ImpliedRole, Role, expand


def _shown(call: Call, role: Role) -> dict[str, Any]:
    return {"id": role.id, "name": role.name, "description": role.description, "links": {"self": call.url(f"/v3/roles/{role.id}")}}


def _pair(call: Call, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    return find(call, "role", prior_id), find(call, "role", implied_id)


def _inference(call: Call, prior: Role, implied: Role) -> dict[str, Any]:
    return {"role_inference": {"prior_role": _shown(call, prior), "implies": _shown(call, implied)}, "links": links(call)}


def imply(call: Call, prior_id: str, implied_id: str) -> dict[str, Any]:
    """PUT /v3/roles/{prior_id}/implies/{implied_id}. Repeatable. The role `admin` cannot be implied, nor a circle be closed."""
    assert call.db is not None
    prior, implied = _pair(call, prior_id, implied_id)
    if implied.name == "admin" or prior_id in expand(call.db, {implied_id}): raise errors.RoleNotImpliable(role=implied.name)
    call.db.merge(ImpliedRole(prior_id=prior_id, implied_id=implied_id))
    auth.forget()
    return _inference(call, prior, implied)


def _existing(call: Call, prior_id: str, implied_id: str) -> ImpliedRole:
    assert call.db is not None
    found = call.db.get(ImpliedRole, (prior_id, implied_id))
    if found is None: raise errors.RoleNotImplied(prior_id=prior_id, implied_id=implied_id)
    return found


def show(call: Call, prior_id: str, implied_id: str) -> dict[str, Any]:
    """GET /v3/roles/{prior_id}/implies/{implied_id}"""
    prior, implied = _pair(call, prior_id, implied_id)
    _existing(call, prior_id, implied_id)
    return _inference(call, prior, implied)


def end(call: Call, prior_id: str, implied_id: str) -> None:
    """DELETE /v3/roles/{prior_id}/implies/{implied_id}"""
    assert call.db is not None
    call.db.delete(_existing(call, prior_id, implied_id))
    auth.forget()


def _inferences(call: Call, *conditions: Any) -> list[dict[str, Any]]:
    assert call.db is not None
    implied_by: dict[str, list[str]] = {}
    for prior, implied in call.db.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id).where(*conditions)):
        implied_by.setdefault(prior, []).append(implied)
    roles = {role.id: role for role in call.db.query(Role).order_by(Role.name)}
    return [{"prior_role": _shown(call, role), "implies": [_shown(call, roles[id]) for id in implied_by[id_] if id in roles]}
            for id_, role in roles.items() if id_ in implied_by]


def list_implied(call: Call, prior_id: str) -> dict[str, Any]:
    """GET /v3/roles/{prior_id}/implies"""
    prior = find(call, "role", prior_id)
    found = _inferences(call, ImpliedRole.prior_id == prior_id)
    return {"role_inference": found[0] if found else {"prior_role": _shown(call, prior), "implies": []}, "links": links(call)}


def list_all(call: Call) -> dict[str, Any]:
    """GET /v3/role_inferences"""
    return {"role_inferences": _inferences(call), "links": links(call)}


ONE = "/v3/roles/{prior_id}/implies/{implied_id}"
ROUTES = [
    Route("/v3/roles/{prior_id}/implies", "GET", list_implied, "identity:list_implied_roles", transaction="read"),
    Route(ONE, "PUT", imply, "identity:create_implied_role", status=201, transaction="write"),
    Route(ONE, "GET", show, "identity:get_implied_role", transaction="read"),
    Route(ONE, "HEAD", show, "identity:check_implied_role", status=204, transaction="read"),
    Route(ONE, "DELETE", end, "identity:delete_implied_role", status=204, transaction="write"),
    Route("/v3/role_inferences", "GET", list_all, "identity:list_role_inference_rules", transaction="read"),
]
