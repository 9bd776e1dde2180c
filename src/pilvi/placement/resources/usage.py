"""Usages: what is taken of a provider, and what a project or user holds in all.

Source: Placement API, "Resource provider usages" and "Usages"; microversions 1.9, 1.38.
"""
from __future__ import annotations

import re
from typing import Any

from sqlalchemy import func, select

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.placement import errors
from pilvi.placement.resources import gate, inventory, provider
from pilvi.placement.resources.consumer import ALLOCATIONS, CONSUMERS

TOTAL = "placement:usages"
RULES = {"placement:resource_providers:usages": Rule(gate.ADMIN_OR_SERVICE),
         TOTAL: Rule("role:admin or role:service or (role:reader and project_id:%(project_id)s)")}


def show_provider(call: Call, id: str) -> dict[str, Any]:
    """GET of what is taken of a provider."""
    row = provider.find(call, id)
    gate.dated(call)
    return {"resource_provider_generation": row.generation, "usages": {n: one.used for n, one in inventory.rows_of(call, row.id).items()}}


def show_total(call: Call) -> dict[str, Any]:
    """GET of what a project (and user, and type of consumer) holds."""
    assert call.db is not None
    asked = _query(call)
    if not call.allowed(TOTAL, {"project_id": asked["project_id"]}): raise Forbidden(action=TOTAL)
    conditions = [CONSUMERS.c.project_id == asked["project_id"]]
    if "user_id" in asked: conditions.append(CONSUMERS.c.user_id == asked["user_id"])
    wanted = asked.get("consumer_type")
    if wanted == "unknown": conditions.append(CONSUMERS.c.type.is_(None))
    elif wanted and wanted != "all": conditions.append(CONSUMERS.c.type == wanted)
    gate.dated(call)
    sums = call.db.execute(select(CONSUMERS.c.type, ALLOCATIONS.c.resource_class, func.sum(ALLOCATIONS.c.used))
                           .join(ALLOCATIONS, ALLOCATIONS.c.consumer_id == CONSUMERS.c.id).where(*conditions)
                           .group_by(CONSUMERS.c.type, ALLOCATIONS.c.resource_class)).all()
    if call.version < (1, 38):
        total: dict[str, int] = {}
        for _, name, amount in sums: total[name] = total.get(name, 0) + int(amount)
        return {"usages": total}
    counts = call.db.execute(select(CONSUMERS.c.type, func.count()).where(*conditions).group_by(CONSUMERS.c.type)).all()
    found: dict[str, dict[str, int]] = {}
    for kind, name, amount in [*((k, n, a) for k, n, a in sums), *((k, "consumer_count", n) for k, n in counts)]:
        entry = found.setdefault("all" if wanted == "all" else kind or "unknown", {})
        entry[name] = entry.get(name, 0) + int(amount)
    return {"usages": found}


def _query(call: Call) -> dict[str, str]:
    assert call.request is not None
    known = {"project_id", "user_id"} | ({"consumer_type"} if call.version >= (1, 38) else set())
    asked = dict(call.request.query)
    if other := sorted(set(asked) - known):
        raise errors.QueryInvalid(reason=f"Additional properties are not allowed ('{other[0]}' was unexpected)")
    if "project_id" not in asked: raise errors.QueryInvalid(reason="'project_id' is a required property")
    if len(asked) < len(call.request.query): raise errors.QueryTwice(name=call.request.query[-1][0])
    for name, value in asked.items():
        if not 1 <= len(value) <= 255: raise errors.QueryInvalid(
            reason=f"{name}: '{value[:40]}' is too {'short' if not value else 'long'}\n\n"
            f"Failed validating '{'maxLength' if value else 'minLength'}' in schema")
    if "consumer_type" in asked and not re.fullmatch("[A-Z0-9_]+|all|unknown", asked["consumer_type"]):
        raise errors.QueryInvalid(reason=f"consumer_type '{asked['consumer_type']}' does not match '^[A-Z0-9_]+$|^all$|^unknown$'")
    return asked


ROUTES = [
    Route("/resource_providers/{id}/usages", "GET", show_provider, "placement:resource_providers:usages", transaction="read"),
    route("/usages", "GET", show_total, None, since="1.9", transaction="read"),
]
