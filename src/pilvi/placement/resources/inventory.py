"""Inventory: how much of one resource class a provider has, and how much of it is taken.

`used` stands on the row itself: it is the sum of the allocations, kept by the code that writes those, so that neither a claim nor a search
needs to add anything up.

Source: Placement API, "Resource provider inventories"; microversions 1.5, 1.26.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Float, Integer, String, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.errors import NotAllowed
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.placement import errors
from pilvi.placement.resources import gate, provider, resource_class

MOST = 2**31 - 1
RULES = {f"placement:resource_providers:inventories:{verb}": Rule(gate.ADMIN_OR_SERVICE)
         for verb in ("list", "create", "show", "update", "delete")}


class Inventory(Base):
    __tablename__ = "placement_inventories"
    provider_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    resource_class: Mapped[str] = mapped_column(String(255), primary_key=True)
    total: Mapped[int] = mapped_column(Integer)
    reserved: Mapped[int] = mapped_column(Integer, default=0)
    min_unit: Mapped[int] = mapped_column(Integer, default=1)
    max_unit: Mapped[int] = mapped_column(Integer, default=MOST)
    step_size: Mapped[int] = mapped_column(Integer, default=1)
    allocation_ratio: Mapped[float] = mapped_column(Float(53), default=1.0)
    used: Mapped[int] = mapped_column(BigInteger, default=0)


TABLE: Any = Inventory.__table__
COUNTS = {"type": "integer", "minimum": 1, "maximum": MOST}
AMOUNTS: dict[str, Any] = {
    "total": COUNTS, "reserved": {"type": "integer", "minimum": 0, "maximum": MOST}, "min_unit": COUNTS, "max_unit": COUNTS,
    "step_size": COUNTS, "allocation_ratio": {"type": "number", "maximum": 3.40282e38}, "resource_provider_generation": {"type": "integer"}}
DEFAULTS = {"reserved": 0, "min_unit": 1, "max_unit": MOST, "step_size": 1, "allocation_ratio": 1.0}
ONE_SHAPE = {"type": "object", "properties": AMOUNTS, "required": ["total", "resource_provider_generation"], "additionalProperties": False}
POST_SHAPE = ONE_SHAPE | {"properties": AMOUNTS | {"resource_class": {"type": "string", "pattern": resource_class.PATTERN}},
                          "required": ["total", "resource_class"]}
ALL_SHAPE = {
    "type": "object", "required": ["resource_provider_generation", "inventories"], "additionalProperties": False,
    "properties": {"resource_provider_generation": {"type": "integer"},
                   "inventories": {"type": "object", "patternProperties": {resource_class.PATTERN: ONE_SHAPE | {"required": ["total"]}}}}}


def values_of(call: Call, id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A row's values from a body. Raises InventoryInvalid."""
    values = DEFAULTS | {key: value for key, value in given.items() if key in AMOUNTS and key != "resource_provider_generation"}
    free = values["total"] - values["reserved"]
    if free < 0 or (free == 0 and call.version < (1, 26)):
        act = "create" if call.request and call.request.method == "POST" else "update"
        raise errors.InventoryInvalid(act=act, id=id, reason=f"Invalid inventory for '{name}' on resource provider '{id}'. The reserved "
                                      f"value is greater than {'or equal to ' if call.version < (1, 26) else ''}total.")
    return {"provider_id": id, "resource_class": name, **values}


def rows_of(call: Call, id: str) -> dict[str, Any]:
    """{resource class: row} of a provider."""
    assert call.db is not None
    return {row.resource_class: row for row in call.db.execute(select(TABLE).where(TABLE.c.provider_id == id))}


def render(row: Any) -> dict[str, Any]:
    """One inventory without its provider's generation."""
    return {"total": row.total, "reserved": row.reserved, "min_unit": row.min_unit, "max_unit": row.max_unit, "step_size": row.step_size,
            "allocation_ratio": row.allocation_ratio}


def replace(call: Call, row: Any, wanted: dict[str, dict[str, Any]]) -> None:
    """Makes the provider's inventories exactly these; what is taken stays taken. Raises InventoryInUse. In the caller's transaction."""
    assert call.db is not None
    if missing := resource_class.unknown(call, wanted): raise errors.InventoryClassUnknown(id=row.id, names=", ".join(missing))
    there = rows_of(call, row.id)
    values = {name: values_of(call, row.id, name, given) for name, given in wanted.items()}
    gone = [name for name in there if name not in wanted]
    taken = sorted((name for name in gone if there[name].used), key=resource_class.rank)
    if taken: raise errors.InventoryInUse(id=row.id, classes=", ".join(taken))
    if gone: call.db.execute(delete(TABLE).where(TABLE.c.provider_id == row.id, TABLE.c.resource_class.in_(gone)))
    for name in values.keys() & there.keys(): _set(call, row.id, name, values[name])
    if new := [values[name] for name in values if name not in there]: call.db.execute(insert(TABLE), new)


def _set(call: Call, id: str, name: str, values: dict[str, Any]) -> None:
    assert call.db is not None
    call.db.execute(update(TABLE).where(TABLE.c.provider_id == id, TABLE.c.resource_class == name).values(**values))


def list_all(call: Call, id: str) -> dict[str, Any]:
    """GET of a provider's inventories."""
    row = provider.find(call, id)
    gate.dated(call, row.updated_at)
    return {"resource_provider_generation": row.generation, "inventories": {n: render(one) for n, one in rows_of(call, row.id).items()}}


def show(call: Call, id: str, name: str) -> dict[str, Any]:
    """GET of one inventory."""
    row = provider.find(call, id)
    found = rows_of(call, row.id).get(name)
    if found is None: raise errors.InventoryNotFound(id=row.id, resource_class=name)
    gate.dated(call, row.updated_at)
    return {"resource_provider_generation": row.generation, **render(found)}


def create(call: Call, id: str) -> Response:
    """POST of one inventory that is not there yet."""
    assert call.db is not None
    number = gate.enter(call)
    row = provider.find(call, id)
    if "resource_provider_generation" in call.body: provider.expect(row, call.body["resource_provider_generation"])
    name = call.body["resource_class"]
    resource_class.check(call, [name])
    values = values_of(call, row.id, name, call.body)
    if name in rows_of(call, row.id): raise errors.InventoryTaken(id=row.id, resource_class=name)
    call.db.execute(insert(TABLE), [values])
    generation = provider.touch(call, number, row)
    gate.dated(call)
    return Response(201, {"resource_provider_generation": generation, **render(rows_of(call, row.id)[name])},
                    {"Location": call.url(f"/resource_providers/{row.id}/inventories/{name}")})


def set_all(call: Call, id: str) -> dict[str, Any]:
    """PUT of all inventories."""
    number = gate.enter(call)
    row = provider.find(call, id)
    provider.expect(row, call.body["resource_provider_generation"])
    replace(call, row, call.body["inventories"])
    generation = provider.touch(call, number, row)
    gate.dated(call)
    return {"resource_provider_generation": generation, "inventories": {n: render(one) for n, one in rows_of(call, row.id).items()}}


def set_one(call: Call, id: str, name: str) -> dict[str, Any]:
    """PUT of one inventory that is there."""
    number = gate.enter(call)
    row = provider.find(call, id)
    provider.expect(row, call.body["resource_provider_generation"])
    resource_class.check(call, [name])
    values = values_of(call, row.id, name, call.body)
    if name not in rows_of(call, row.id): raise errors.InventoryAbsent(id=row.id, resource_class=name)
    _set(call, row.id, name, values)
    generation = provider.touch(call, number, row)
    gate.dated(call)
    return {"resource_provider_generation": generation, **render(rows_of(call, row.id)[name])}


def remove_one(call: Call, id: str, name: str) -> None:
    """DELETE of one inventory of which nothing is taken."""
    assert call.db is not None
    number = gate.enter(call)
    row = provider.find(call, id)
    there = rows_of(call, row.id)
    if name not in there: raise errors.InventoryGone(id=row.id, resource_class=name)
    if there[name].used: raise errors.InventoryInUse(id=row.id, classes=name)
    call.db.execute(delete(TABLE).where(TABLE.c.provider_id == row.id, TABLE.c.resource_class == name))
    provider.touch(call, number, row)


def refuse(call: Call, id: str) -> None:
    """DELETE of all before 1.5."""
    raise NotAllowed(method="DELETE", allow="GET, POST, PUT")


def remove_all(call: Call, id: str) -> None:
    """DELETE of all (since 1.5)."""
    number = gate.enter(call)
    row = provider.find(call, id)
    replace(call, row, {})
    provider.touch(call, number, row)


PATH = "/resource_providers/{id}/inventories"
RULE = "placement:resource_providers:inventories:"
ROUTES = [
    Route(PATH, "GET", list_all, RULE + "list", transaction="read"),
    Route(PATH, "POST", create, RULE + "create", transaction="write", body=POST_SHAPE),
    Route(PATH, "PUT", set_all, RULE + "update", transaction="write", body=ALL_SHAPE),
    route(PATH, "DELETE", refuse, RULE + "delete", until="1.4"),
    route(PATH, "DELETE", remove_all, RULE + "delete", since="1.5", transaction="write", status=204),
    Route(PATH + "/{name}", "GET", show, RULE + "show", transaction="read"),
    Route(PATH + "/{name}", "PUT", set_one, RULE + "update", transaction="write", body=ONE_SHAPE),
    Route(PATH + "/{name}", "DELETE", remove_one, RULE + "delete", transaction="write", status=204),
]
