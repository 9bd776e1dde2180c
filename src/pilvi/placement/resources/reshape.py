"""Reshaper: inventories and the allocations on them move together, all or nothing (a host whose CPUs become those of its NUMA nodes).

Source: Placement API, "Reshaper"; microversions 1.30, 1.34, 1.38.
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import route
from pilvi.core.policy import Rule
from pilvi.placement import errors
from pilvi.placement.resources import allocation, consumer, gate, inventory, provider

RULES = {"placement:reshaper:reshape": Rule("role:service or role:admin")}


def shape(version: tuple[int, int]) -> dict[str, Any]:
    """The body of POST."""
    consumers = allocation.post_shape(version) | {"minProperties": 0}
    return {"type": "object", "required": ["inventories", "allocations"], "additionalProperties": False, "properties": {
        "allocations": consumers,
        "inventories": {"type": "object", "additionalProperties": False, "patternProperties": {allocation.UUID_KEY: inventory.ALL_SHAPE}}}}


def reshape(call: Call) -> None:
    """POST. First every provider gets what it shall have besides what it has; then the allocations move; then the rest is taken away."""
    number = gate.enter(call)
    wanted: list[tuple[Any, dict[str, Any]]] = []
    for id, given in call.body["inventories"].items():
        try: row = provider.find(call, id)
        except errors.ProviderNotFound: raise errors.ReshapeUnknown(id=id) from None
        provider.expect(row, given["resource_provider_generation"])
        wanted.append((row, given["inventories"]))
    for row, inventories in wanted:
        there = {name: inventory.render(one) for name, one in inventory.rows_of(call, row.id).items()}
        inventory.replace(call, row, there | inventories)
        provider.touch(call, number, row)
    consumer.write(call, [allocation.claim_of(id, body) for id, body in call.body["allocations"].items()], check_generations=True)
    for row, inventories in wanted:
        inventory.replace(call, row, inventories)
        provider.touch(call, number, provider.find(call, row.id))


ROUTES = [route("/reshaper", "POST", reshape, "placement:reshaper:reshape", since="1.30", transaction="write", status=204, body=shape)]
