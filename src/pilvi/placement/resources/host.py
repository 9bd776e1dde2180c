"""Hosts in bulk: the provider, inventories, traits and aggregates of many hosts in one request, made or changed as needed.

Not part of the Placement API: a cloud that starts with thousands of hosts would need four requests for each. Only services may call it;
what it writes is what those requests would write, and a host that is as described already is left alone, its generation too. CUSTOM_
classes and traits are made as they are met.

Source: own; no upstream counterpart.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.placement import errors
from pilvi.placement.resources import gate, inventory, provider, resource_class, trait
from pilvi.placement.standard import RESOURCE_CLASSES

RULES = {"placement:hosts:update": Rule(gate.ADMIN_OR_SERVICE)}
SHAPE = {"type": "object", "required": ["hosts"], "additionalProperties": False, "properties": {"hosts": {
    "type": "array", "maxItems": 2000, "items": {
        "type": "object", "required": ["name", "inventories"], "additionalProperties": False, "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "inventories": inventory.ALL_SHAPE["properties"]["inventories"],  # type: ignore[index]
            "traits": {"type": "array", "items": {"type": "string", "maxLength": 255}},
            "aggregates": {"type": "array", "items": provider.UUID_SHAPE}}}}}}
PART = 500


def put(call: Call) -> dict[str, Any]:
    """PUT of hosts: {name: provider id}."""
    number = gate.enter(call)
    hosts = {host["name"]: host for host in call.body["hosts"]}
    _learn(call, hosts)
    there = _rows(call, provider.TABLE, provider.TABLE.c.name, list(hosts))
    known = {row.name: row for row in there}
    stocks: dict[str, dict[str, Any]] = {}
    for row in _rows(call, inventory.TABLE, inventory.TABLE.c.provider_id, [row.id for row in there]):
        stocks.setdefault(row.provider_id, {})[row.resource_class] = row
    ids = {name: known[name].id if name in known else new_id() for name in hosts}
    changed = _write_stocks(call, {ids[name]: host["inventories"] for name, host in hosts.items()}, stocks)
    _write_providers(call, number, hosts, known, ids, changed)
    return {"providers": ids}


def _rows(call: Call, table: Any, column: Any, values: list[str]) -> list[Any]:
    assert call.db is not None
    return [row for at in range(0, len(values), PART) for row in call.db.execute(select(table).where(column.in_(values[at:at + PART])))]


def _learn(call: Call, hosts: dict[str, Any]) -> None:
    """Makes the custom classes and traits that are new."""
    assert call.db is not None
    classes = sorted({name for host in hosts.values() for name in host["inventories"]} - set(RESOURCE_CLASSES))
    if new := [name for name in classes if resource_class.custom(call, name) is None]:
        if odd := [name for name in new if not name.startswith("CUSTOM_")]: raise errors.ClassUnknown(names=", ".join(odd))
        call.db.execute(insert(resource_class.CustomClass), [{"name": name} for name in new])
    if new := trait.unknown(call, {name for host in hosts.values() for name in host.get("traits", ())}):
        if odd := [name for name in new if not name.startswith("CUSTOM_")]: raise errors.TraitUnknown(names=", ".join(odd))
        call.db.execute(insert(trait.CustomTrait), [{"name": name} for name in new])


def _write_stocks(call: Call, wanted: dict[str, dict[str, Any]], stocks: dict[str, dict[str, Any]]) -> set[str]:
    """Writes inventories; returns the providers whose inventories changed. Raises InventoryInUse."""
    assert call.db is not None
    made, moved, gone, changed = [], [], [], set()
    for id, inventories in wanted.items():
        there = stocks.get(id, {})
        for name, given in inventories.items():
            values = inventory.values_of(call, id, name, given)
            if name not in there: made.append(values)
            elif inventory.render(there[name]) != {key: values[key] for key in inventory.render(there[name])}: moved.append(values)
            else: continue
            changed.add(id)
        for name in there.keys() - inventories.keys():
            if there[name].used: raise errors.InventoryInUse(id=id, classes=name)
            gone.append({"p": id, "c": name})
            changed.add(id)
    where = (inventory.TABLE.c.provider_id == bindparam("p"), inventory.TABLE.c.resource_class == bindparam("c"))
    connection = call.db.connection()
    if made: connection.execute(insert(inventory.TABLE), made)
    if gone: connection.execute(delete(inventory.TABLE).where(*where), gone)
    if moved: connection.execute(update(inventory.TABLE).where(*where), [
        {"p": values.pop("provider_id"), "c": values.pop("resource_class"), **values} for values in moved])
    return changed


def _write_providers(call: Call, number: int, hosts: dict[str, Any], known: dict[str, Any], ids: dict[str, str], changed: set[str]) -> None:
    assert call.db is not None
    made, moved = [], []
    for name, host in hosts.items():
        traits, aggregates = sorted(set(host.get("traits", ()))), [provider.plain_uuid(id) for id in host.get("aggregates", ())]
        values = {"traits": traits, "aggregates": aggregates, "changed": number, "updated_at": clock.now()}
        row = known.get(name)
        if row is None: made.append({"id": ids[name], "name": name, "root_id": ids[name], "generation": 1, **values})
        elif row.id in changed or (row.traits, row.aggregates) != (traits, aggregates): moved.append({"p": row.id, **values})
    if made: call.db.connection().execute(insert(provider.TABLE), made)
    if moved: call.db.connection().execute(update(provider.TABLE).where(provider.TABLE.c.id == bindparam("p"))
                                           .values(generation=provider.TABLE.c.generation + 1), moved)


ROUTES = [Route("/hosts", "PUT", put, "placement:hosts:update", transaction="write", body=SHAPE)]
