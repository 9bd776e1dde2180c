"""Flavor: the size of a server.

Source: Compute API, "Flavors", "Flavors access", "Flavors extra-specs"; microversions 2.55 (description), 2.61 (extra_specs), 2.75.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import String, delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.compute import errors
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Json
from pilvi.core.dialect import NOVA
from pilvi.core.http.routes import Route
from pilvi.core.listing import truth_of
from pilvi.core.policy import Rule
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, Kind, boolean, field, integer, number, text

ID = Kind({"type": ["string", "null"], "maxLength": 255, "pattern": "^[a-zA-Z0-9._ -]+$"}, String(255))
"""Clients send null, or `auto`, for an id of the cloud's choice."""
SPEC_NAME = r"^[a-zA-Z0-9_:. -]{1,255}$"


class Flavor(Base):
    __tablename__ = "compute_flavors"
    id: Mapped[str] = field(ID, key=True, create=OPTIONAL, default=new_id)
    name: Mapped[str] = field(text(255, r"\S(.*\S)?", shortest=1), create=REQUIRED, unique=True)
    ram: Mapped[int] = field(integer(1, 2**31 - 1), create=REQUIRED)
    vcpus: Mapped[int] = field(integer(1, 2**31 - 1), create=REQUIRED)
    disk: Mapped[int] = field(integer(0, 2**31 - 1), create=REQUIRED)
    ephemeral: Mapped[int] = field(integer(0, 2**31 - 1), create=OPTIONAL, default=0, wire="OS-FLV-EXT-DATA:ephemeral")
    swap: Mapped[int] = field(integer(0, 2**31 - 1), create=OPTIONAL, default=0)
    rxtx_factor: Mapped[float] = field(number(0), create=OPTIONAL, default=1.0)
    is_public: Mapped[bool] = field(boolean(), create=OPTIONAL, default=True, wire="os-flavor-access:is_public")
    disabled: Mapped[bool] = field(boolean(), default=False, wire="OS-FLV-DISABLED:disabled")
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, since="2.55", filter=False)
    extra_specs: Mapped[Any] = mapped_column(Json, default=dict)


class FlavorAccess(Base):
    """A project that may use a flavor that is not public."""
    __tablename__ = "compute_flavor_access"
    flavor_id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(primary_key=True)


def check(call: Call, flavor: Flavor, values: dict[str, Any]) -> None:
    """Ids and names are unique."""
    assert call.db is not None
    if flavor.id in (None, "auto"): flavor.id = new_id()
    if call.db.execute(select(Flavor.id).where(Flavor.name == flavor.name)).first():
        raise errors.FlavorExists(what="name", value=flavor.name)
    if call.db.get(Flavor, flavor.id): raise errors.FlavorExists(what="ID", value=flavor.id)


def visible(call: Call) -> Any:
    """Public ones and those the project was given."""
    return or_(Flavor.is_public, Flavor.id.in_(select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == call.project_id)))


def by_access(call: Call, values: list[str]) -> Any:
    """?is_public=: administrators may ask for private ones, or (None) for both."""
    if not call.is_admin: return None
    return None if values[-1].lower() == "none" else Flavor.is_public == truth_of(values[-1])


def at_least(column: Any) -> Any:
    """?minRam=, ?minDisk="""
    return lambda call, values: column >= int(values[-1]) if values[-1].isdigit() else None


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for row, body in zip(rows, bodies, strict=True):
        if body["swap"] == 0 and call.version < (2, 75): body["swap"] = ""
        if call.version >= (2, 61): body["extra_specs"] = row.extra_specs or {}


def remove(call: Call, flavor: Flavor) -> None:
    """Servers keep a copy of their flavor, so it may go at any time."""
    assert call.db is not None
    call.db.execute(delete(FlavorAccess).where(FlavorAccess.flavor_id == flavor.id))


def facts_of(flavor: Flavor) -> dict[str, Any]:
    """What a server keeps of its flavor, which may be changed or deleted later."""
    return {"id": flavor.id, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram, "disk": flavor.disk,
            "ephemeral": flavor.ephemeral, "swap": flavor.swap, "extra_specs": flavor.extra_specs or {}}


def show_specs(call: Call, id: str) -> dict[str, Any]:
    return {"extra_specs": RESOURCE.find(call, id).extra_specs or {}}


def add_specs(call: Call, id: str) -> dict[str, Any]:
    flavor = RESOURCE.find(call, id)
    flavor.extra_specs = {**(flavor.extra_specs or {}), **{k: str(v) for k, v in call.body["extra_specs"].items()}}
    return {"extra_specs": call.body["extra_specs"]}


def show_spec(call: Call, id: str, key: str) -> dict[str, Any]:
    specs = RESOURCE.find(call, id).extra_specs or {}
    if key not in specs: raise errors.ExtraSpecNotFound(id=id, key=key)
    return {key: specs[key]}


def put_spec(call: Call, id: str, key: str) -> dict[str, Any]:
    if set(call.body) != {key}: raise errors.DeviceMappingInvalid("Request body and URI mismatch: URI/body key differ")
    flavor = RESOURCE.find(call, id)
    flavor.extra_specs = {**(flavor.extra_specs or {}), key: str(call.body[key])}
    return dict(call.body)


def drop_spec(call: Call, id: str, key: str) -> None:
    flavor = RESOURCE.find(call, id)
    if key not in (flavor.extra_specs or {}): raise errors.ExtraSpecNotFound(id=id, key=key)
    flavor.extra_specs = {k: v for k, v in flavor.extra_specs.items() if k != key}


def list_access(call: Call, id: str) -> dict[str, Any]:
    assert call.db is not None
    if RESOURCE.find(call, id).is_public: raise errors.FlavorNotFound("Access list not available for public flavors.")
    rows = call.db.scalars(select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == id))
    return {"flavor_access": [{"flavor_id": id, "tenant_id": project} for project in rows]}


def change_access(call: Call, id: str) -> dict[str, Any]:
    """POST /flavors/{id}/action: addTenantAccess, removeTenantAccess"""
    assert call.db is not None
    RESOURCE.find(call, id)
    (action, what), = call.body.items()
    project = what["tenant"]
    row = call.db.get(FlavorAccess, (id, project))
    if action == "addTenantAccess":
        if row: raise errors.FlavorInUse(id=id, project_id=project)
        call.db.add(FlavorAccess(flavor_id=id, project_id=project))
    else:
        if not row: raise errors.FlavorAccessNotFound(id=id, project_id=project)
        call.db.delete(row)
    call.db.flush()
    rows = call.db.scalars(select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == id))
    return {"flavor_access": [{"flavor_id": id, "tenant_id": one} for one in rows]}


SPECS = {"type": "object", "required": ["extra_specs"], "properties": {"extra_specs": {
    "type": "object", "propertyNames": {"pattern": SPEC_NAME}, "additionalProperties": {"type": ["string", "number"], "maxLength": 255}}}}
SPEC = {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"pattern": SPEC_NAME},
        "additionalProperties": {"type": ["string", "number"], "maxLength": 255}}
TENANT = {"type": "object", "required": ["tenant"], "properties": {"tenant": {"type": "string", "minLength": 1, "maxLength": 255}},
          "additionalProperties": False}
ACCESS = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
          "properties": {"addTenantAccess": TENANT, "removeTenantAccess": TENANT}}
_P = "os_compute_api:os-flavor-extra-specs:"
RULES = {_P + "index": Rule("role:admin or role:reader"), _P + "change": Rule("role:admin"),
    "os_compute_api:os-flavor-access": Rule("role:admin")}
ROUTES = [
    Route("/v2.1/flavors/{id}/os-extra_specs", "GET", show_specs, _P + "index", transaction="read"),
    Route("/v2.1/flavors/{id}/os-extra_specs", "POST", add_specs, _P + "change", transaction="write", body=SPECS),
    Route("/v2.1/flavors/{id}/os-extra_specs/{key}", "GET", show_spec, _P + "index", transaction="read"),
    Route("/v2.1/flavors/{id}/os-extra_specs/{key}", "PUT", put_spec, _P + "change", transaction="write", body=SPEC),
    Route("/v2.1/flavors/{id}/os-extra_specs/{key}", "DELETE", drop_spec, _P + "change", transaction="write"),
    Route("/v2.1/flavors/{id}/os-flavor-access", "GET", list_access, "os_compute_api:os-flavor-access", transaction="read"),
    Route("/v2.1/flavors/{id}/action", "POST", change_access, "os_compute_api:os-flavor-access", transaction="write", body=ACCESS),
]
RESOURCE = Resource(
    Flavor, "flavor", "/v2.1/flavors", NOVA, owner=None, visible=visible, missing=errors.FlavorNotFound, default_sort=[("id", False)],
    policy={"list": "anyone", "show": "anyone", "create": "admin", "update": "admin", "delete": "admin"},
    brief=("id", "name", "description"),
    filters={"is_public": by_access, "minRam": at_least(Flavor.ram), "minDisk": at_least(Flavor.disk)},
    on_create=check, on_delete=remove, on_render=render)
