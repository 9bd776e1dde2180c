"""Aggregates of a provider: the groups it belongs to, by id only; who shares one may share resources.

Source: Placement API, "Resource provider aggregates"; microversions 1.1, 1.19.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import update

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import route
from pilvi.core.policy import Rule
from pilvi.placement.resources import gate, provider

LIST = {"type": "array", "items": provider.UUID_SHAPE, "uniqueItems": True}
SHAPE = {"type": "object", "required": ["aggregates", "resource_provider_generation"], "additionalProperties": False,
         "properties": {"aggregates": LIST, "resource_provider_generation": {"type": "integer"}}}
RULES = {f"placement:resource_providers:aggregates:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "update")}


def shape(version: tuple[int, int]) -> dict[str, Any]:
    """The body of PUT: a bare list before 1.19."""
    return SHAPE if version >= (1, 19) else LIST


def show(call: Call, id: str) -> dict[str, Any]:
    """GET of a provider's aggregates."""
    row = provider.find(call, id)
    gate.dated(call, row.updated_at)
    return _render(call, row.aggregates, row.generation)


def replace(call: Call, id: str) -> dict[str, Any]:
    """PUT of a provider's aggregates; the generation counts since 1.19."""
    assert call.db is not None
    number = gate.enter(call)
    row = provider.find(call, id)
    generation = row.generation
    if call.version >= (1, 19):
        provider.expect(row, call.body["resource_provider_generation"])
        wanted = [provider.plain_uuid(name) for name in call.body["aggregates"]]
        generation = provider.touch(call, number, row, aggregates=wanted)
    else:
        wanted = [provider.plain_uuid(name) for name in call.body]
        call.db.execute(update(provider.TABLE).where(provider.TABLE.c.id == row.id)
                        .values(aggregates=wanted, changed=number, updated_at=clock.now()))
    gate.dated(call)
    return _render(call, wanted, generation)


def _render(call: Call, aggregates: list[str], generation: int) -> dict[str, Any]:
    return {"aggregates": aggregates} | ({"resource_provider_generation": generation} if call.version >= (1, 19) else {})


PATH = "/resource_providers/{id}/aggregates"
ROUTES = [
    route(PATH, "GET", show, "placement:resource_providers:aggregates:list", since="1.1", transaction="read"),
    route(PATH, "PUT", replace, "placement:resource_providers:aggregates:update", since="1.1", transaction="write", body=shape),
]
