"""Resource provider: something that has resources (a host, a NUMA node, shared storage), perhaps part of another.

Source: Placement API, "Resource providers"; microversions 1.3, 1.4, 1.14, 1.18, 1.20, 1.22, 1.37, 1.39.
"""
from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import BigInteger, Float, Integer, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Json
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.placement import errors
from pilvi.placement.resources import gate

UUID_SHAPE = {"type": "string", "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"}
RULES = {f"placement:resource_providers:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "create", "show", "update", "delete")}


class Provider(Base):
    __tablename__ = "placement_providers"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    generation: Mapped[int] = mapped_column(Integer, default=0)
    parent_id: Mapped[str | None] = mapped_column(String(36), nullable=True, index=True)
    root_id: Mapped[str] = mapped_column(String(36), index=True)
    traits: Mapped[list[str]] = mapped_column(Json, default=list)
    aggregates: Mapped[list[str]] = mapped_column(Json, default=list)
    changed: Mapped[int] = mapped_column(BigInteger, index=True)
    """The number of the last change that touched it (see gate.py)."""
    updated_at: Mapped[float] = mapped_column(Float(53), default=clock.now)


TABLE: Any = Provider.__table__


def body_shape(version: tuple[int, int], *, create: bool) -> dict[str, Any]:
    """JSON Schema of a provider to make or to change."""
    properties: dict[str, Any] = {"name": {"type": "string", "maxLength": 200}}
    if create: properties["uuid"] = UUID_SHAPE
    if version >= (1, 14): properties["parent_provider_uuid"] = {"anyOf": [UUID_SHAPE, {"type": "null"}]}
    return {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}


def create_shape(version: tuple[int, int]) -> dict[str, Any]:
    """The body of POST."""
    return body_shape(version, create=True)


def update_shape(version: tuple[int, int]) -> dict[str, Any]:
    """The body of PUT."""
    return body_shape(version, create=False)


def find(call: Call, id: str) -> Any:
    """The provider's row. Raises ProviderNotFound."""
    assert call.db is not None
    row = call.db.execute(select(TABLE).where(TABLE.c.id == plain_uuid(id))).first()
    if row is None: raise errors.ProviderNotFound(id=id)
    return row


def plain_uuid(text: str) -> str:
    """A UUID as it is stored; what is none stays as it is and is found nowhere."""
    try: return str(UUID(text))
    except ValueError: return text


def touch(call: Call, number: int, row: Any, **values: Any) -> int:
    """Writes to a provider and moves its generation on; returns the new one. In the caller's write transaction."""
    assert call.db is not None
    call.db.execute(update(TABLE).where(TABLE.c.id == row.id)
                    .values(generation=row.generation + 1, changed=number, updated_at=clock.now(), **values))
    return int(row.generation) + 1


def expect(row: Any, generation: int) -> None:
    """Raises GenerationConflict unless the caller has seen the provider's newest state."""
    if row.generation != generation: raise errors.GenerationConflict(id=row.id, actual=row.generation, given=generation)


def render(call: Call, row: Any) -> dict[str, Any]:
    """The provider as the API shows it; takes a row or a provider of the snapshot."""
    assert call.request is not None
    here = f"{urlsplit(call.request.base).path}/resource_providers/{row.id}"
    kinds = ["inventories", "usages"]
    if call.version >= (1, 1): kinds.append("aggregates")
    if call.version >= (1, 6): kinds.append("traits")
    if call.version >= (1, 11): kinds.append("allocations")
    body = {"uuid": row.id, "name": row.name, "generation": row.generation,
            "links": [{"rel": "self", "href": here}, *({"rel": kind, "href": f"{here}/{kind}"} for kind in kinds)]}
    if call.version >= (1, 14): body |= {"parent_provider_uuid": row.parent_id, "root_provider_uuid": row.root_id}
    return body


def show(call: Call, id: str) -> dict[str, Any]:
    """GET of one."""
    row = find(call, id)
    gate.dated(call, row.updated_at)
    return render(call, row)


def create(call: Call) -> Response:
    """POST: 201 and no body; since 1.20 200 and the provider."""
    assert call.db is not None
    number = gate.enter(call)
    id = str(UUID(call.body["uuid"])) if call.body.get("uuid") else new_id()
    parent = call.body.get("parent_provider_uuid")
    root = id
    if parent is not None:
        parent = plain_uuid(parent)
        above = call.db.execute(select(TABLE).where(TABLE.c.id == parent)).first()
        reason = "parent provider UUID cannot be same as UUID." if parent == id else "parent provider UUID does not exist."
        if parent == id or above is None: raise errors.ParentInvalid(act="create", name=call.body["name"], id=id, reason=reason)
        root = above.root_id
    _unique(call, id, call.body["name"])
    call.db.execute(TABLE.insert().values(id=id, name=call.body["name"], generation=0, parent_id=parent, root_id=root, changed=number))
    row = find(call, id)
    headers = {"Location": call.url(f"/resource_providers/{id}")}
    if call.version < (1, 20): return Response(201, None, headers)
    gate.dated(call, row.updated_at)
    return Response(200, render(call, row), headers)


def _unique(call: Call, id: str, name: str, *, new: bool = True) -> None:
    assert call.db is not None
    if call.db.execute(select(TABLE.c.id).where(TABLE.c.name == name, TABLE.c.id != id)).first():
        raise errors.ProviderTaken(what="name", value=name)
    if new and call.db.execute(select(TABLE.c.id).where(TABLE.c.id == id)).first(): raise errors.ProviderTaken(what="uuid", value=id)


def change(call: Call, id: str) -> dict[str, Any]:
    """PUT: the name, and the parent; since 1.37 a provider may move to another parent or stand alone again."""
    assert call.db is not None
    number = gate.enter(call)
    row = find(call, id)
    _unique(call, row.id, call.body["name"], new=False)
    values: dict[str, Any] = {"name": call.body["name"]}
    if "parent_provider_uuid" in call.body:
        parent = call.body["parent_provider_uuid"]
        values["parent_id"] = plain_uuid(parent) if parent is not None else None
        if values["parent_id"] != row.parent_id: _move(call, number, row, values["parent_id"])
    call.db.execute(update(TABLE).where(TABLE.c.id == row.id).values(changed=number, updated_at=clock.now(), **values))
    row = find(call, row.id)
    gate.dated(call, row.updated_at)
    return render(call, row)


def _move(call: Call, number: int, row: Any, parent: str | None) -> None:
    """Puts the provider, and all below it, under the parent's root."""
    assert call.db is not None
    if call.version < (1, 37) and row.parent_id is not None:
        verb = "un-parenting" if parent is None else "re-parenting"
        raise _unmoved(row, f"{verb} a provider is not currently allowed.")
    below = _subtree(call, row)
    root = row.id
    if parent is not None:
        above = call.db.execute(select(TABLE).where(TABLE.c.id == parent)).first()
        if above is None: raise _unmoved(row, "parent provider UUID does not exist.")
        if parent in below: raise _unmoved(row, "creating loop in the provider tree is not allowed.")
        root = above.root_id
    call.db.execute(update(TABLE).where(TABLE.c.id.in_(below)).values(root_id=root, changed=number))


def _unmoved(row: Any, reason: str) -> errors.ParentInvalid:
    return errors.ParentInvalid(act="save", name=row.name, id=row.id, reason=reason)


def _subtree(call: Call, row: Any) -> list[str]:
    assert call.db is not None
    tree = call.db.execute(select(TABLE.c.id, TABLE.c.parent_id).where(TABLE.c.root_id == row.root_id)).all()
    found = [row.id]
    for id in found: found += [child.id for child in tree if child.parent_id == id]
    return found


def remove(call: Call, id: str) -> None:
    """DELETE of a provider that has neither children nor allocations."""
    assert call.db is not None
    gate.enter(call)
    try: row = find(call, id)
    except errors.ProviderNotFound: raise errors.ProviderGone(id=id) from None
    if call.db.execute(select(TABLE.c.id).where(TABLE.c.parent_id == row.id)).first(): raise errors.ProviderHasChildren(id=row.id)
    stock = Base.metadata.tables["placement_inventories"]
    if call.db.execute(select(stock.c.used).where(stock.c.provider_id == row.id, stock.c.used > 0)).first():
        raise errors.ProviderInUse(id=row.id)
    call.db.execute(delete(stock).where(stock.c.provider_id == row.id))
    call.db.execute(delete(TABLE).where(TABLE.c.id == row.id))


PATH = "/resource_providers"
ROUTES = [
    Route(PATH, "POST", create, "placement:resource_providers:create", transaction="write", body=create_shape),
    Route(PATH + "/{id}", "GET", show, "placement:resource_providers:show", transaction="read"),
    Route(PATH + "/{id}", "PUT", change, "placement:resource_providers:update", transaction="write", body=update_shape),
    Route(PATH + "/{id}", "DELETE", remove, "placement:resource_providers:delete", transaction="write", status=204),
]
