"""Unified limits: how much of a resource every project may have (registered), and what one project or domain may have instead.

Source: Identity API v3, "Unified Limits". Two models: `flat` (limits know nothing of each other) and `strict_two_level` (a project's
limit is never more than its domain's, trees are two levels deep).
"""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.errors import Conflict, Invalid
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.catalogue import CatalogueService, Region
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.relative import find, links

MODELS = {"flat": "Limit enforcement and validation does not take project hierarchy into consideration.",
          "strict_two_level": "This model requires project hierarchy never exceeds a depth of two"}
KEYS = ("service_id", "region_id", "resource_name")


class RegisteredLimit(Base):
    __tablename__ = "identity_registered_limits"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    service_id: Mapped[str] = mapped_column(index=True)
    region_id: Mapped[str | None]
    resource_name: Mapped[str]
    default_limit: Mapped[int]
    description: Mapped[str | None]


class Limit(Base):
    __tablename__ = "identity_limits"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    project_id: Mapped[str | None] = mapped_column(index=True)
    domain_id: Mapped[str | None] = mapped_column(index=True)
    service_id: Mapped[str] = mapped_column(index=True)
    region_id: Mapped[str | None]
    resource_name: Mapped[str]
    resource_limit: Mapped[int]
    description: Mapped[str | None]


def _body(call: Call, row: Any, plural: str) -> dict[str, Any]:
    columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    return columns | {"links": {"self": call.url(f"/v3/{plural}/{row.id}")}}


def _same(table: Any, row: Any) -> Any:
    """A query's conditions for the rows about the same resource."""
    return [getattr(table, key).is_not_distinct_from(getattr(row, key)) for key in KEYS]


def _check_place(call: Call, row: Any) -> None:
    """Service and region must exist. Raises Invalid."""
    assert call.db is not None
    if call.db.get(CatalogueService, row.service_id) is None: raise Invalid(f"Could not find service: {row.service_id}.")
    if row.region_id and call.db.get(Region, row.region_id) is None: raise Invalid(f"Could not find region: {row.region_id}.")


def _asked(call: Call) -> dict[str, str]:
    assert call.request is not None
    return {k: v for k, v in call.request.query if k in (*KEYS, "project_id", "domain_id")}


def list_registered(call: Call) -> dict[str, Any]:
    """GET /v3/registered_limits"""
    assert call.db is not None
    asked = {k: v for k, v in _asked(call).items() if k in KEYS}
    rows = call.db.query(RegisteredLimit).filter_by(**asked).order_by(RegisteredLimit.id)
    return {"registered_limits": [_body(call, row, "registered_limits") for row in rows], "links": links(call)}


def create_registered(call: Call) -> dict[str, Any]:
    """POST /v3/registered_limits: several at once, all or none."""
    assert call.db is not None
    made = []
    for values in call.body["registered_limits"]:
        row = RegisteredLimit(id=new_hex_id(), region_id=None, description=None)
        for name, value in values.items(): setattr(row, name, value)
        _check_place(call, row)
        if call.db.execute(select(RegisteredLimit.id).where(*_same(RegisteredLimit, row))).first():
            raise Conflict(f"Duplicate entry: a registered limit of {row.resource_name} exists.")
        call.db.add(row)
        call.db.flush()
        made.append(row)
    return {"registered_limits": [_body(call, row, "registered_limits") for row in made]}


def _registered(call: Call, id: str) -> RegisteredLimit:
    assert call.db is not None
    row = call.db.get(RegisteredLimit, id)
    if row is None: raise errors.RegisteredLimitNotFound(id=id)
    return row


def show_registered(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/registered_limits/{id}"""
    return {"registered_limit": _body(call, _registered(call, id), "registered_limits")}


def _used(call: Call, row: RegisteredLimit) -> bool:
    assert call.db is not None
    return call.db.execute(select(Limit.id).where(*_same(Limit, row))).first() is not None


def update_registered(call: Call, id: str) -> dict[str, Any]:
    """PATCH /v3/registered_limits/{id}: what it is for only changes while nobody has a limit of its own."""
    assert call.db is not None
    row, asked = _registered(call, id), call.body["registered_limit"]
    if any(asked.get(key, getattr(row, key)) != getattr(row, key) for key in KEYS):
        if _used(call, row): raise errors.LimitInUse(id=id)
        for key in KEYS: setattr(row, key, asked.get(key, getattr(row, key)))
        _check_place(call, row)
        if call.db.execute(select(RegisteredLimit.id).where(*_same(RegisteredLimit, row), RegisteredLimit.id != id)).first():
            raise Conflict(f"Duplicate entry: a registered limit of {row.resource_name} exists.")
    for name in ("default_limit", "description"): setattr(row, name, asked.get(name, getattr(row, name)))
    return show_registered(call, id)


def delete_registered(call: Call, id: str) -> None:
    """DELETE /v3/registered_limits/{id}"""
    assert call.db is not None
    row = _registered(call, id)
    if _used(call, row): raise errors.LimitInUse(id=id)
    call.db.delete(row)


def list_limits(call: Call) -> dict[str, Any]:
    """GET /v3/limits: an administrator's or service's all; else those of the token's domain or project."""
    assert call.db is not None
    query, identity = call.db.query(Limit).filter_by(**_asked(call)).order_by(Limit.id), call.identity
    if not (identity.system or {"admin", "service"} & set(identity.roles)):
        if identity.domain_id:
            mine = select(Project.id).where(Project.domain_id == identity.domain_id)
            query = query.where(or_(Limit.project_id.in_(mine), Limit.domain_id == identity.domain_id))
        else: query = query.where(Limit.project_id == (identity.project_id or ""))
    return {"limits": [_body(call, row, "limits") for row in query], "links": links(call)}


def create_limits(call: Call) -> dict[str, Any]:
    """POST /v3/limits: several at once, all or none. Raises NoRegisteredLimit, LimitInvalid."""
    assert call.db is not None
    made = []
    for values in call.body["limits"]:
        row = Limit(id=new_hex_id(), project_id=None, domain_id=None, region_id=None, description=None)
        for name, value in values.items(): setattr(row, name, value)
        if (row.project_id is None) == (row.domain_id is None): raise Invalid("A limit is for a project or for a domain.")
        _check_place(call, row)
        if row.project_id: find(call, "project", row.project_id)
        if row.domain_id: find(call, "domain", row.domain_id)
        if not call.db.execute(select(RegisteredLimit.id).where(*_same(RegisteredLimit, row))).first():
            raise errors.NoRegisteredLimit(resource=row.resource_name)
        owner = [Limit.project_id.is_not_distinct_from(row.project_id), Limit.domain_id.is_not_distinct_from(row.domain_id)]
        if call.db.execute(select(Limit.id).where(*_same(Limit, row), *owner)).first():
            raise Conflict(f"Duplicate entry: a limit of {row.resource_name} exists there.")
        call.db.add(row)
        made.append(row)
    call.db.flush()
    for row in made: _check_tree(call, row)
    return {"limits": [_body(call, row, "limits") for row in made]}


def _check_tree(call: Call, row: Limit) -> None:
    """In the strict model a project's limit is at most its domain's. Raises LimitInvalid."""
    assert call.db is not None and call.application is not None
    if call.application.config.limit_model != "strict_two_level": return
    if row.project_id:
        domain_id = call.db.scalar(select(Project.domain_id).where(Project.id == row.project_id))
        above = call.db.scalar(select(Limit.resource_limit).where(*_same(Limit, row), Limit.domain_id == domain_id))
        if above is None: above = call.db.scalar(select(RegisteredLimit.default_limit).where(*_same(RegisteredLimit, row)))
        if above is not None and row.resource_limit > above:
            raise errors.LimitInvalid(reason=f"{row.resource_name} of project {row.project_id} is more than the {above} of its domain")
        return
    below = select(Project.id).where(Project.domain_id == row.domain_id)
    most = max(call.db.scalars(select(Limit.resource_limit).where(*_same(Limit, row), Limit.project_id.in_(below))), default=0)
    if row.resource_limit < most:
        raise errors.LimitInvalid(reason=f"{row.resource_name} of domain {row.domain_id} is less than the {most} of one of its projects")


def _limit(call: Call, id: str, rule: str) -> Limit:
    """Policy is asked before it is told that there is none."""
    assert call.db is not None
    row = call.db.get(Limit, id)
    target: dict[str, Any] = {}
    if row is not None:
        target = {"project_id": row.project_id, "domain_id": row.domain_id}
        project = call.db.get(Project, row.project_id) if row.project_id else None
        if project: target["project"] = {"id": project.id, "domain_id": project.domain_id}
        if row.domain_id: target["domain"] = {"id": row.domain_id}
    permit(call, rule, {"limit": target} if target else {}, limit_id=id)
    if row is None: raise errors.LimitNotFound(id=id)
    return row


def show_limit(call: Call, id: str) -> dict[str, Any]:
    """GET /v3/limits/{id}"""
    return {"limit": _body(call, _limit(call, id, "get_limit"), "limits")}


def update_limit(call: Call, id: str) -> dict[str, Any]:
    """PATCH /v3/limits/{id}"""
    assert call.db is not None
    row, asked = _limit(call, id, "update_limit"), call.body["limit"]
    for name in ("resource_limit", "description"): setattr(row, name, asked.get(name, getattr(row, name)))
    call.db.flush()
    _check_tree(call, row)
    return {"limit": _body(call, row, "limits")}


def delete_limit(call: Call, id: str) -> None:
    """DELETE /v3/limits/{id}"""
    assert call.db is not None
    call.db.delete(_limit(call, id, "delete_limit"))


def show_model(call: Call) -> dict[str, Any]:
    """GET /v3/limits/model"""
    assert call.application is not None
    name = call.application.config.limit_model
    return {"model": {"name": name, "description": MODELS[name]}}


def forget(db: Session, target_ids: Collection[str]) -> None:
    """Projects or domains are gone, and their limits with them. In the caller's transaction."""
    db.execute(delete_from(Limit).where(or_(Limit.project_id.in_(target_ids), Limit.domain_id.in_(target_ids))))


ID, OPTIONAL_ID = {"type": "string", "minLength": 1, "maxLength": 64}, {"type": ["string", "null"], "maxLength": 255}
NUMBER = {"type": "integer", "minimum": -1, "maximum": 0x7FFFFFFF}
ABOUT = {"service_id": ID, "region_id": OPTIONAL_ID, "resource_name": {"type": "string", "minLength": 1, "maxLength": 255},
         "description": {"type": ["string", "null"], "maxLength": 65535}}


def _several(plural: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    item = {"type": "object", "additionalProperties": False, "properties": properties, "required": required}
    return {"type": "object", "required": [plural], "properties": {plural: {"type": "array", "minItems": 1, "maxItems": 1000,
                                                                            "items": item}}}


def _one(singular: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [singular], "properties": {
        singular: {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}}}


REGISTERED = _several("registered_limits", {**ABOUT, "default_limit": NUMBER}, ["service_id", "resource_name", "default_limit"])
LIMITS = _several("limits", {**ABOUT, "project_id": OPTIONAL_ID, "domain_id": OPTIONAL_ID, "resource_limit": NUMBER},
                  ["service_id", "resource_name", "resource_limit"])
ROUTES = [
    Route("/v3/registered_limits", "GET", list_registered, "identity:list_registered_limits", transaction="read"),
    Route("/v3/registered_limits", "POST", create_registered, "identity:create_registered_limits", status=201, transaction="write",
          body=REGISTERED),
    Route("/v3/registered_limits/{id}", "GET", show_registered, "identity:get_registered_limit", transaction="read"),
    Route("/v3/registered_limits/{id}", "PATCH", update_registered, "identity:update_registered_limit", transaction="write",
          body=_one("registered_limit", {**ABOUT, "default_limit": NUMBER})),
    Route("/v3/registered_limits/{id}", "DELETE", delete_registered, "identity:delete_registered_limit", status=204, transaction="write"),
    Route("/v3/limits", "GET", list_limits, "identity:list_limits", transaction="read"),
    Route("/v3/limits", "POST", create_limits, "identity:create_limits", status=201, transaction="write", body=LIMITS),
    Route("/v3/limits/model", "GET", show_model, "identity:get_limit_model"),
    Route("/v3/limits/{id}", "GET", show_limit, None, transaction="read"),
    Route("/v3/limits/{id}", "PATCH", update_limit, None, transaction="write",
          body=_one("limit", {"resource_limit": NUMBER, "description": ABOUT["description"]})),
    Route("/v3/limits/{id}", "DELETE", delete_limit, None, transaction="write", status=204),
]
