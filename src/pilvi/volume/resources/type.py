"""Volume type: a kind of volume that administrators offer, with extra specs for the scheduler.

Source: Block Storage API v3, "Volume types (types)", "Default volume types".
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import or_, select, true
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.db.session import Database
from pilvi.core.dialect import CINDER
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS, Resource
from pilvi.volume import errors
from pilvi.volume.resources.metadata import WORDS
from pilvi.volume.resources.tables import Volume, VolumeType

DEFAULT = "__DEFAULT__"
READ, MANAGE = "volume_extension:types_extra_specs:index", "volume_extension:types_extra_specs:create"
RULES = {READ: Rule(PERSONAS["reader"]), MANAGE: Rule(PERSONAS["admin"])}


def ensure_default(database: Database) -> None:
    """Makes the type that volumes have for which none was asked. Repeatable."""
    with database.write() as db:
        if db.execute(select(VolumeType.id).where(VolumeType.is_default)).first() is None:
            db.add(VolumeType(name=DEFAULT, description="Default Volume Type", is_public=True, extra_specs={}, is_default=True))


def default(db: Session) -> VolumeType:
    """The default type."""
    return db.execute(select(VolumeType).where(VolumeType.is_default)).scalar_one()


def resolve(call: Call, name_or_id: str) -> VolumeType:
    """The type of that id or name, if the caller may use it. Raises VolumeTypeNotFound, TypeNameNotFound."""
    assert call.db is not None
    scope = [] if call.is_admin else [VolumeType.is_public]
    named = or_(VolumeType.id == name_or_id, VolumeType.name == name_or_id)
    found = call.db.execute(select(VolumeType).where(named, *scope)).scalars().first()
    if found is None: raise errors.TypeNameNotFound(name=name_or_id)
    return found


def check_name(call: Call, kind: VolumeType, values: dict[str, Any]) -> None:
    """Raises TypeExists, InvalidInput."""
    assert call.db is not None
    name = values.get("name", kind.name)
    if not name or not name.strip(): raise errors.InvalidInput(reason="Volume type name can not be empty.")
    if call.db.execute(select(VolumeType.id).where(VolumeType.name == name, VolumeType.id != kind.id)).first():
        raise errors.TypeExists(name=name)


def refuse_used(call: Call, kind: VolumeType) -> None:
    """Raises DefaultTypeStays, TypeInUse."""
    assert call.db is not None
    if kind.is_default: raise errors.DefaultTypeStays(id=kind.id)
    if call.db.execute(select(Volume.id).where(Volume.type_id == kind.id, Volume.deleted_at.is_(None))).first(): raise errors.TypeInUse()


def add_public(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for body in bodies: body["is_public"] = body["os-volume-type-access:is_public"]


def show_default(call: Call) -> dict[str, Any]:
    """GET of the default type."""
    assert call.db is not None
    return {"volume_type": RESOURCE.render(call, [default(call.db)])[0]}


def list_specs(call: Call, id: str) -> dict[str, Any]:
    """GET of a type's extra specs."""
    return {"extra_specs": RESOURCE.find(call, id).extra_specs or {}}


def add_specs(call: Call, id: str) -> dict[str, Any]:
    """POST: adds or replaces extra specs."""
    kind = RESOURCE.find(call, id)
    kind.extra_specs = {**(kind.extra_specs or {}), **call.body["extra_specs"]}
    return {"extra_specs": call.body["extra_specs"]}


def show_spec(call: Call, id: str, key: str) -> dict[str, Any]:
    """GET of one extra spec."""
    specs = RESOURCE.find(call, id).extra_specs or {}
    if key not in specs: raise errors.ExtraSpecNotFound(id=id, key=key)
    return {key: specs[key]}


def set_spec(call: Call, id: str, key: str) -> dict[str, Any]:
    """PUT of one extra spec."""
    if set(call.body) != {key}: raise errors.InvalidInput(reason="Request body and URI mismatch")
    kind = RESOURCE.find(call, id)
    kind.extra_specs = {**(kind.extra_specs or {}), **call.body}
    return dict(call.body)


def remove_spec(call: Call, id: str, key: str) -> None:
    """DELETE of one extra spec."""
    show_spec(call, id, key)
    kind = RESOURCE.find(call, id)
    kind.extra_specs = {name: value for name, value in kind.extra_specs.items() if name != key}


def _public(call: Call, values: list[str]) -> Any:
    if values[-1].lower() == "none": return true()
    return VolumeType.is_public.is_(values[-1].lower() in ("true", "1", "yes", "on"))


RESOURCE = Resource(
    VolumeType, "volume_type", "/v3/types", replace(CINDER, detail=False, self_links=None, admin_sees_all=True), owner=None,
    missing=errors.VolumeTypeNotFound, status={"create": 200}, default_sort=[("created_at", True)],
    visible=lambda call: VolumeType.is_public.is_(True), filters={"is_public": _public},
    policy={"list": "reader", "show": "reader", "create": "admin", "update": "admin", "delete": "admin"},
    on_create=check_name, on_update=check_name, on_delete=refuse_used, on_render=add_public)
SPECS = "/v3/types/{id}/extra_specs"
ROUTES = [
    Route("/v3/types/default", "GET", show_default, READ, transaction="read"),
    Route(SPECS, "GET", list_specs, READ, transaction="read"),
    Route(SPECS, "POST", add_specs, MANAGE, transaction="write",
          body={"type": "object", "required": ["extra_specs"], "properties": {"extra_specs": WORDS}, "additionalProperties": False}),
    Route(SPECS + "/{key}", "GET", show_spec, READ, transaction="read"),
    Route(SPECS + "/{key}", "PUT", set_spec, MANAGE, transaction="write", body=WORDS | {"minProperties": 1, "maxProperties": 1}),
    Route(SPECS + "/{key}", "DELETE", remove_spec, MANAGE, transaction="write", status=202),
]
