"""Host aggregate: a named set of hosts with an operator's remarks; one with an availability zone gives it to its hosts.

Source: Compute API, "Host aggregates"; microversion 2.41 (uuid).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.compute import errors
from pilvi.compute.resources.host import Host
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.errors import Conflict, Invalid
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base

DEFAULT_ZONE = "nova"
ZONE = "availability_zone"


class Aggregate(Base):
    __tablename__ = "compute_aggregates"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    hosts: Mapped[Any] = mapped_column(Json, default=list)
    remarks: Mapped[Any] = mapped_column(Json, default=dict)
    """The metadata; an availability zone is a remark too."""
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    updated_at: Mapped[float | None] = mapped_column(Instant)


def aggregates_of(db: Session) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """{host: [(aggregate id, remarks)]}, for the scheduler."""
    found: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for row in db.execute(select(Aggregate.id, Aggregate.hosts, Aggregate.remarks)):
        for host in row.hosts: found.setdefault(host, []).append((str(row.id), row.remarks))
    return found


def _shown(call: Call, row: Aggregate) -> dict[str, Any]:
    def moment(at: float | None) -> str | None:
        return None if at is None else clock.iso(at, fraction=True, zone="")

    shown = {"id": row.id, "name": row.name, "hosts": row.hosts, "metadata": row.remarks, "availability_zone": row.remarks.get(ZONE),
             "created_at": moment(row.created_at), "updated_at": moment(row.updated_at), "deleted": False, "deleted_at": None}
    return {"aggregate": shown | ({"uuid": row.uuid} if call.version >= (2, 41) else {})}


def _find(call: Call, id: str) -> Aggregate:
    assert call.db is not None
    row = call.db.get(Aggregate, int(id)) if id.isdigit() and len(id) < 10 else None
    if row is None: raise errors.AggregateNotFound(id=id)
    return row


def _settle(call: Call, row: Aggregate, left: str | None = None) -> dict[str, Any]:
    """Hosts follow the zone of their aggregate, and the one that left has none; the scheduler looks again."""
    assert call.db is not None and call.application is not None
    row.updated_at = clock.now()
    zone = row.remarks.get(ZONE)
    for name in [*row.hosts, *([left] if left else [])]:
        host = call.db.get(Host, name)
        if host is not None and (zone or name == left): host.zone = (zone if name != left else None) or DEFAULT_ZONE
    call.db.flush()
    call.application.state["fleet"].forget()
    return _shown(call, row)


def list_aggregates(call: Call) -> dict[str, Any]:
    """GET /os-aggregates"""
    assert call.db is not None
    return {"aggregates": [_shown(call, row)["aggregate"] for row in call.db.scalars(select(Aggregate).order_by(Aggregate.id))]}


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /os-aggregates/{id}"""
    return _shown(call, _find(call, id))


def _check_name(call: Call, name: str, id: int | None) -> None:
    assert call.db is not None
    taken = call.db.scalar(select(Aggregate.id).where(Aggregate.name == name))
    if taken is not None and taken != id: raise Conflict(f"Aggregate {name} already exists.")


def create(call: Call) -> dict[str, Any]:
    """POST /os-aggregates"""
    assert call.db is not None
    asked = call.body["aggregate"]
    _check_name(call, asked["name"], None)
    zone = asked.get(ZONE)
    row = Aggregate(name=asked["name"], hosts=[], remarks={ZONE: zone} if zone else {})
    call.db.add(row)
    call.db.flush()
    return _shown(call, row)


def update(call: Call, id: str) -> dict[str, Any]:
    """PUT /os-aggregates/{id}: name, availability zone"""
    row, asked = _find(call, id), call.body["aggregate"]
    if "name" in asked:
        _check_name(call, asked["name"], row.id)
        row.name = asked["name"]
    if asked.get(ZONE): row.remarks = {**row.remarks, ZONE: asked[ZONE]}
    return _settle(call, row)


def delete(call: Call, id: str) -> None:
    """DELETE /os-aggregates/{id}: only an empty one"""
    assert call.db is not None
    row = _find(call, id)
    if row.hosts: raise Invalid(f"Cannot remove aggregate {id}: it has hosts ({', '.join(row.hosts)[:200]}).")
    call.db.delete(row)


def act(call: Call, id: str) -> dict[str, Any]:
    """POST /os-aggregates/{id}/action: add_host, remove_host, set_metadata"""
    assert call.db is not None
    row = _find(call, id)
    (name, asked), = call.body.items()
    if name == "set_metadata":
        merged = {**row.remarks, **asked["metadata"]}
        row.remarks = {key: value for key, value in merged.items() if value is not None}
        return _settle(call, row)
    host = asked["host"]
    if call.db.get(Host, host) is None: raise errors.HostNotFound(id=host)
    if name == "add_host":
        if host in row.hosts: raise Conflict(f"Aggregate {id} already has host {host}.")
        zones = {zone for other, remarks in aggregates_of(call.db).get(host, ()) if (zone := remarks.get(ZONE)) and other != str(row.id)}
        if row.remarks.get(ZONE) and zones - {row.remarks[ZONE]}:
            raise Conflict(f"Host {host} is in availability zone {zones.pop()} already.")
        row.hosts = [*row.hosts, host]
        return _settle(call, row)
    if host not in row.hosts: raise errors.HostNotFound(id=host)
    row.hosts = [one for one in row.hosts if one != host]
    return _settle(call, row, left=host if row.remarks.get(ZONE) else None)


NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?$"}
FACTS = {"name": NAME, ZONE: {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "^[^:]*$"}}
CREATE = {"type": "object", "required": ["aggregate"], "additionalProperties": False, "properties": {"aggregate": {
    "type": "object", "required": ["name"], "properties": FACTS, "additionalProperties": False}}}
UPDATE = {"type": "object", "required": ["aggregate"], "additionalProperties": False, "properties": {"aggregate": {
    "type": "object", "minProperties": 1, "properties": FACTS, "additionalProperties": False}}}
HOST = {"type": "object", "required": ["host"], "properties": {"host": {"type": "string", "minLength": 1, "maxLength": 255}}}
ACTION = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False, "properties": {
    "add_host": HOST, "remove_host": HOST, "set_metadata": {"type": "object", "required": ["metadata"], "properties": {"metadata": {
        "type": "object", "propertyNames": {"pattern": r"^[a-zA-Z0-9-_:. ]{1,255}$"},
        "additionalProperties": {"type": ["string", "null"], "maxLength": 255}}}}}}
_RULE = "os_compute_api:os-aggregates"
RULES = {_RULE: Rule("role:admin")}
_PATH = "/v2.1/os-aggregates"
ROUTES = [
    Route(_PATH, "GET", list_aggregates, _RULE, transaction="read"), Route(_PATH, "POST", create, _RULE, transaction="write", body=CREATE),
    Route(_PATH + "/{id}", "GET", show, _RULE, transaction="read"),
    Route(_PATH + "/{id}", "PUT", update, _RULE, transaction="write", body=UPDATE),
    Route(_PATH + "/{id}", "DELETE", delete, _RULE, transaction="write"),
    Route(_PATH + "/{id}/action", "POST", act, _RULE, transaction="write", body=ACTION),
]
