"""Resource class: what can be counted. The standard ones are known to all; CUSTOM_ ones are made by administrators.

Source: Placement API, "Resource classes"; microversions 1.2, 1.7.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Float, String, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.placement import errors
from pilvi.placement.resources import gate
from pilvi.placement.standard import RESOURCE_CLASSES

PATTERN = "^[A-Z0-9_]+$"
CUSTOM = "^CUSTOM_[A-Z0-9_]+$"
NAME = {"type": "string", "pattern": CUSTOM, "minLength": 1, "maxLength": 255}
SHAPE = {"type": "object", "properties": {"name": NAME}, "required": ["name"], "additionalProperties": False}
RULES = {f"placement:resource_classes:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "create", "show", "update", "delete")}


class CustomClass(Base):
    __tablename__ = "placement_resource_classes"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    updated_at: Mapped[float] = mapped_column(Float(53), default=clock.now)


def custom(call: Call, name: str) -> Any:
    """The row of a custom class, None if there is none."""
    assert call.db is not None
    return call.db.execute(select(CustomClass.name, CustomClass.updated_at).where(CustomClass.name == name)).first()


def unknown(call: Call, names: Iterable[str]) -> list[str]:
    """Those of the names that are no classes."""
    return sorted(name for name in names if name not in RESOURCE_CLASSES and custom(call, name) is None)


def check(call: Call, names: Iterable[str]) -> None:
    """Raises ClassUnknown for a class that does not exist."""
    if missing := unknown(call, names): raise errors.ClassUnknown(names=", ".join(missing))


def rank(name: str) -> tuple[int, str]:
    """The usual order: standard classes as they are known, then custom ones by name."""
    return (RESOURCE_CLASSES.index(name) if name in RESOURCE_CLASSES else len(RESOURCE_CLASSES), name)


def find(call: Call, name: str) -> float | None:
    """When the class was made (None for a standard one). Raises ClassNotFound."""
    if name in RESOURCE_CLASSES: return None
    row = custom(call, name)
    if row is None: raise errors.ClassNotFound(name=name)
    return float(row.updated_at)


def render(call: Call, name: str) -> dict[str, Any]:
    """A class as the API shows it."""
    assert call.request is not None
    return {"name": name, "links": [{"rel": "self", "href": f"{urlsplit(call.request.base).path}/resource_classes/{name}"}]}


def list_all(call: Call) -> dict[str, Any]:
    """GET of all."""
    assert call.db is not None
    gate.dated(call)
    made = call.db.execute(select(CustomClass.name).order_by(CustomClass.name)).scalars()
    return {"resource_classes": [render(call, name) for name in (*RESOURCE_CLASSES, *made)]}


def show(call: Call, name: str) -> dict[str, Any]:
    """GET of one."""
    gate.dated(call, find(call, name))
    return render(call, name)


def create(call: Call) -> Response:
    """POST of a custom class."""
    assert call.db is not None
    gate.enter(call)
    name = call.body["name"]
    if custom(call, name): raise errors.ClassTaken(name=name)
    call.db.execute(insert(CustomClass), [{"name": name}])
    return Response(201, None, {"Location": call.url(f"/resource_classes/{name}")})


def rename(call: Call, name: str) -> dict[str, Any]:
    """PUT before 1.7: gives a custom class another name."""
    assert call.db is not None
    gate.enter(call)
    if name in RESOURCE_CLASSES: raise errors.ClassStandard(act="update", name=name)
    find(call, name)
    new = call.body["name"]
    if custom(call, new): raise errors.ClassNameTaken(name=new)
    if in_use(call, name): raise errors.ClassInUse(name=name)
    call.db.execute(update(CustomClass).where(CustomClass.name == name).values(name=new, updated_at=clock.now()))
    return render(call, new)


def ensure(call: Call, name: str) -> Response:
    """PUT since 1.7: makes the class unless it is there."""
    assert call.db is not None and call.request is not None
    if call.request.body: raise errors.BodyWrong(reason="The request body should be empty.")
    if not re.fullmatch(CUSTOM, name) or len(name) > 255:
        raise errors.BodyWrong(reason=f"JSON does not validate: '{name[:300]}' is no name of a custom class\n\nFailed validating "
                               f"'{'maxLength' if len(name) > 255 else 'pattern'}' in schema")
    gate.enter(call)
    there = custom(call, name) is not None
    if not there: call.db.execute(insert(CustomClass), [{"name": name}])
    if there: gate.dated(call)
    return Response(204 if there else 201, None, {"Location": call.url(f"/resource_classes/{name}")})


def in_use(call: Call, name: str) -> bool:
    """Is there an inventory of this class?"""
    assert call.db is not None
    stock = Base.metadata.tables["placement_inventories"]
    return call.db.execute(select(stock.c.provider_id).where(stock.c.resource_class == name).limit(1)).first() is not None


def remove(call: Call, name: str) -> None:
    """DELETE of a custom class of which there is no inventory."""
    assert call.db is not None
    gate.enter(call)
    if name in RESOURCE_CLASSES: raise errors.ClassStandard(act="delete", name=name)
    find(call, name)
    if in_use(call, name): raise errors.ClassInUse(name=name)
    call.db.execute(delete(CustomClass).where(CustomClass.name == name))


PATH = "/resource_classes"
RULE = "placement:resource_classes:"
ROUTES = [
    route(PATH, "GET", list_all, RULE + "list", since="1.2", transaction="read"),
    route(PATH, "POST", create, RULE + "create", since="1.2", transaction="write", body=SHAPE),
    route(PATH + "/{name}", "GET", show, RULE + "show", since="1.2", transaction="read"),
    route(PATH + "/{name}", "PUT", rename, RULE + "update", since="1.2", until="1.6", transaction="write", body=SHAPE),
    route(PATH + "/{name}", "PUT", ensure, RULE + "update", since="1.7", transaction="write"),
    route(PATH + "/{name}", "DELETE", remove, RULE + "delete", since="1.2", transaction="write", status=204),
]
