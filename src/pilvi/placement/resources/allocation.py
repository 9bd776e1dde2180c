"""Allocations: what a consumer holds of which providers.

Source: Placement API, "Allocations"; microversions 1.8, 1.12, 1.13, 1.28, 1.34, 1.38.
"""
from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.placement import errors
from pilvi.placement.resources import consumer, gate, provider, resource_class
from pilvi.placement.resources.consumer import ALLOCATIONS, CONSUMERS, Claim

RULES = {f"placement:allocations:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "manage", "update", "delete")} | {
    "placement:resource_providers:allocations:list": Rule(gate.ADMIN_OR_SERVICE)}
OWNER = {"type": "string", "minLength": 1, "maxLength": 255}
RESOURCES = {"type": "object", "minProperties": 1, "additionalProperties": False,
             "patternProperties": {resource_class.PATTERN: {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}}}
UUID_KEY = "^[0-9a-fA-F-]{36}$"
BY_PROVIDER = {"type": "object", "additionalProperties": False, "patternProperties": {UUID_KEY: {
    "type": "object", "required": ["resources"], "additionalProperties": False,
    "properties": {"generation": {"type": "integer"}, "resources": RESOURCES}}}}
AS_LIST = {"type": "array", "minItems": 1, "items": {
    "type": "object", "required": ["resource_provider", "resources"], "additionalProperties": False, "properties": {
        "resources": RESOURCES, "resource_provider": {
            "type": "object", "properties": {"uuid": provider.UUID_SHAPE}, "required": ["uuid"], "additionalProperties": False}}}}
MAPPINGS = {"type": "object", "minProperties": 1, "patternProperties": {
    "[a-zA-Z0-9_-]{1,64}": {"type": "array", "minItems": 1, "items": provider.UUID_SHAPE}}}


def put_shape(version: tuple[int, int], *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body of PUT, which is also one consumer's part of POST."""
    properties: dict[str, Any] = {"allocations": AS_LIST}
    required = ["allocations"]
    if version >= (1, 12): properties["allocations"] = BY_PROVIDER | ({} if version >= (1, 28) or may_be_empty else {"minProperties": 1})
    if version >= (1, 8):
        properties |= {"project_id": OWNER, "user_id": OWNER}
        required += ["project_id", "user_id"]
    if version >= (1, 28):
        properties["consumer_generation"] = {"type": ["integer", "null"]}
        required.append("consumer_generation")
    if version >= (1, 34): properties["mappings"] = MAPPINGS
    if version >= (1, 38):
        properties["consumer_type"] = OWNER | {"pattern": resource_class.PATTERN}
        required.append("consumer_type")
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def post_shape(version: tuple[int, int]) -> dict[str, Any]:
    """The body of POST."""
    return {"type": "object", "minProperties": 1, "additionalProperties": False,
            "patternProperties": {UUID_KEY: put_shape(version, may_be_empty=True)}}


def claim_of(id: str, body: dict[str, Any]) -> Claim:
    """A consumer's part of a body as a claim. Raises ConsumerMalformed."""
    try: id = str(UUID(id))
    except ValueError: raise errors.ConsumerMalformed(id=id[:80]) from None
    given = body["allocations"]
    parts = given.items() if isinstance(given, dict) else [(entry["resource_provider"]["uuid"], entry) for entry in given]
    amounts: consumer.Amounts = {}
    for place, entry in parts:
        for name, amount in entry["resources"].items(): amounts[provider.plain_uuid(place), name] = amount
    return Claim(id, amounts, body.get("project_id"), body.get("user_id"), body.get("consumer_type"), body.get("consumer_generation"))


def show(call: Call, id: str) -> dict[str, Any]:
    """GET of what a consumer holds; nothing is an answer too."""
    assert call.db is not None
    by_provider = _grouped(call, id)
    generations: dict[str, int] = dict(call.db.execute(select(provider.TABLE.c.id, provider.TABLE.c.generation)
                                       .where(provider.TABLE.c.id.in_(list(by_provider)))).all())
    body: dict[str, Any] = {"allocations": {place: {"generation": generations[place], "resources": amounts}
                                            for place, amounts in by_provider.items()}}
    row = call.db.execute(select(CONSUMERS).where(CONSUMERS.c.id == id)).first()
    if row is not None and call.version >= (1, 12): body |= {"project_id": row.project_id, "user_id": row.user_id}
    if row is not None and call.version >= (1, 28): body["consumer_generation"] = row.generation
    if row is not None and call.version >= (1, 38): body["consumer_type"] = row.type or "unknown"
    gate.dated(call)
    return body


def _grouped(call: Call, id: str) -> dict[str, dict[str, int]]:
    grouped: dict[str, dict[str, int]] = {}
    for row in consumer.held(call, [id]): grouped.setdefault(row.provider_id, {})[row.resource_class] = row.used
    return grouped


def put(call: Call, id: str) -> None:
    """PUT of one consumer's allocations; the consumer is made, changed or, with nothing to hold, forgotten."""
    consumer.write(call, [claim_of(id, call.body)], check_generations=call.version >= (1, 28))


def post(call: Call) -> None:
    """POST of several consumers' allocations, all or none (since 1.13)."""
    consumer.write(call, [claim_of(id, body) for id, body in call.body.items()], check_generations=call.version >= (1, 28))


def remove(call: Call, id: str) -> None:
    """DELETE of all that a consumer holds."""
    if not consumer.held(call, [id]): raise errors.AllocationsNotFound(id=id)
    consumer.write(call, [Claim(id, {})], check_generations=False)


def list_provider(call: Call, id: str) -> dict[str, Any]:
    """GET of what is held of a provider, by consumer."""
    assert call.db is not None
    row = provider.find(call, id)
    found: dict[str, dict[str, Any]] = {}
    for one in call.db.execute(select(ALLOCATIONS, CONSUMERS.c.generation).join(CONSUMERS, CONSUMERS.c.id == ALLOCATIONS.c.consumer_id)
                               .where(ALLOCATIONS.c.provider_id == row.id)):
        shown = {"consumer_generation": one.generation} if call.version >= (1, 28) else {}
        entry = found.setdefault(one.consumer_id, {"resources": {}, **shown})
        entry["resources"][one.resource_class] = one.used
    gate.dated(call)
    return {"allocations": found, "resource_provider_generation": row.generation}


OF_PROVIDER = "/resource_providers/{id}/allocations"
ROUTES = [
    route("/allocations", "POST", post, "placement:allocations:manage", since="1.13", transaction="write", status=204, body=post_shape),
    Route("/allocations/{id}", "GET", show, "placement:allocations:list", transaction="read"),
    Route("/allocations/{id}", "PUT", put, "placement:allocations:update", transaction="write", status=204, body=put_shape),
    Route("/allocations/{id}", "DELETE", remove, "placement:allocations:delete", transaction="write", status=204),
    Route(OF_PROVIDER, "GET", list_provider, "placement:resource_providers:allocations:list", transaction="read"),
]
