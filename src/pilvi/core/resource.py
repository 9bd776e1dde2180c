"""A REST resource as data, and the five verbs that serve it.

A `Resource` names a table class (its columns carry their wire rules), a path, a dialect and who may do what. Hooks are plain functions:

    before(call, values)           what needs another service, or time; outside any transaction; an update's values have the `id`
    on_create(call, row, body)     check and fill in; in the request's transaction, as are the following
    on_update(call, row, changes)  check and change more than the fields say
    on_delete(call, row)           refuse, or take children along; return True if the row is not to be removed (a tombstone, a task)
    on_render(call, rows, bodies)  add to the bodies what is not a column; one call for a whole page

`scope(call)` says which rows the caller may see at all; the rest do not exist for it (404).
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pilvi.core import clock, events, listing, quota, rendering
from pilvi.core.context import Call
from pilvi.core.dialect import Dialect
from pilvi.core.errors import Conflict, Failure, Forbidden, Invalid, NotFound
from pilvi.core.http import faults
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.wire import REQUIRED, Base, Field, describe, fields_of

PERSONAS = {
    "anyone": "@",
    "reader": "role:admin or (role:reader and project_id:%(project_id)s)",
    "member": "role:admin or (role:member and project_id:%(project_id)s)",
    "manager": "role:admin or (role:manager and project_id:%(project_id)s)",
    "owner": "role:admin or user_id:%(user_id)s",
    "admin": "role:admin",
    "admin_reader": "role:admin or (role:reader and system_scope:all)",
    "service": "role:admin or role:service",
}
"""Upstream's secure-RBAC personas, in oslo.policy's language; `admin` implies manager, member and reader by role implication."""


class Duplicate(Conflict):
    """A {what} with these values exists already."""


class UnknownFields(Invalid):
    """Unrecognized attribute(s) '{names}'"""


@dataclass(frozen=True, eq=False)
class Resource:
    """One REST resource. `policy`: {verb: persona or rule}; `status`: {verb: status or {since: status}}."""
    table: type[Base]
    name: str
    path: str
    dialect: Dialect
    verbs: tuple[str, ...] = ("list", "show", "create", "update", "delete")
    policy: Mapping[str, str | Rule] = field(default_factory=dict)
    plural: str = ""
    key: str = "id"
    owner: str | None = "project_id"
    quota: str | None = None
    wrap_items: bool = False
    status: Mapping[str, int | dict[str, int]] = field(default_factory=dict)
    brief: tuple[str, ...] = ("id", "name")
    """The attributes of the short list, where the family has one."""
    filters: Mapping[str, listing.Filter] = field(default_factory=dict)
    default_sort: list[tuple[str, bool]] = field(default_factory=list)
    visible: Callable[[Call], ColumnElement[bool] | None] | None = None
    """Which rows a caller that is no administrator may see; None: those of its own `owner`."""
    alive: Callable[[Call], ColumnElement[bool]] | None = None
    """Rows that still exist (tables that keep tombstones)."""
    missing: type[Failure] = NotFound
    before: Callable[[Call, dict[str, Any]], None] | None = None
    on_create: Callable[[Call, Any, dict[str, Any]], None] | None = None
    on_update: Callable[[Call, Any, dict[str, Any]], None] | None = None
    on_delete: Callable[[Call, Any], bool | None] | None = None
    on_render: Callable[[Call, list[Any], list[dict[str, Any]]], None] | None = None
    story: dict[str, str] | None = None
    schema_path: str = ""
    list_brief: bool = True
    """False: a family with short lists has none for this resource."""
    told_missing: tuple[str, ...] = ()
    """Verbs with which everybody learns that a thing is missing, where policy is asked first otherwise."""
    beside: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """What may stand beside the envelope in a body: {name: JSON Schema}."""
    event: Mapping[str, str] = field(default_factory=dict)
    """{verb: type} of events that are not called as the family does; "": none (the thing's state machine tells of it)."""

    # -- what follows from the declaration

    def __post_init__(self) -> None:
        if not self.plural: object.__setattr__(self, "plural", self.name + "s")

    @cached_property
    def fields(self) -> dict[str, Field]:
        return fields_of(self.table)

    @cached_property
    def wire_names(self) -> dict[str, str]:
        """{wire name: column}, aliases included."""
        names = {rules.wire or column: column for column, rules in self.fields.items()}
        return names | {alias: names[target] for alias, target in self.dialect.aliases.items() if target in names}

    def rules(self, service: str) -> dict[str, Rule]:
        """The policy rules of the verbs, under upstream's names."""
        return {self.rule(service, verb): check if isinstance(check, Rule) else Rule(PERSONAS.get(check, check))
                for verb, check in self.policy.items()}

    def rule(self, service: str, verb: str) -> str:
        """The policy rule of a verb."""
        return self.dialect.rule(service, self.name, self.path.rstrip("/").rpartition("/")[2], verb)

    def routes(self, service: str) -> list[Route]:
        """The routes of the declared verbs."""
        item = self.path + "/{" + self.key + "}"
        made = []
        if "list" in self.verbs:
            short = self.dialect.detail and self.list_brief
            made.append(Route(self.path, "GET", self._bind(list_, brief=short), None, transaction="read"))
            if short: made.append(Route(self.path + "/detail", "GET", self._bind(list_), None, transaction="read"))
        if "show" in self.verbs: made.append(Route(item, "GET", self._bind(show), None, transaction="read"))
        if "create" in self.verbs: made.append(Route(self.path, "POST", self._bind(create), None, story=self.story))
        if "update" in self.verbs: made.append(Route(item, self.dialect.update, self._bind(update), None))
        if "delete" in self.verbs: made.append(Route(item, "DELETE", self._bind(delete), None, transaction="write"))
        return made

    def _bind(self, verb: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def handler(call: Call, **names: str) -> Any:
            return verb(self, call, *names.values(), **options)

        handler.__name__ = f"{verb.__name__.rstrip('_')}_{self.name}"
        return handler

    # -- rules that every verb shares

    def scope(self, call: Call, *, every_project: bool | None = None) -> list[ColumnElement[bool]]:
        """Conditions for the rows that exist for the caller."""
        conditions = [self.alive(call)] if self.alive else []
        if every_project is None: every_project = call.is_admin
        if every_project: return conditions
        seen = self.visible(call) if self.visible else None
        if seen is None and self.owner:
            seen = self.table.__table__.c[self.owner] == (call.user_id if self.owner == "user_id" else call.project_id)
        return conditions if seen is None else [*conditions, seen]

    def find(self, call: Call, key: str, verb: str | None = None) -> Any:
        """The row (an object of the table class) with this key, if it exists for the caller and policy allows the verb.
        Raises the resource's `missing`, Forbidden."""
        assert call.db is not None
        left_to_policy = self.dialect.nested_target and self.owner is None
        every = call.is_admin or left_to_policy or call.granted(self.name, key)
        conditions = self.scope(call, every_project=every)
        row = call.db.query(self.table).where(self.table.__table__.c[self.key] == key, *conditions).first()
        if row is None:
            if verb and self.dialect.nested_target and verb not in self.told_missing:
                self.permit(call, verb, _aim(self, call, verb), key=key)
            raise self.missing(id=key)
        if verb: self.permit(call, verb, None if self.visible and verb == "show" and not self.dialect.nested_target else _target(self, row),
                             key=key)
        return row

    def permit(self, call: Call, verb: str, target: Mapping[str, Any] | None = None, *, key: str = "") -> None:
        """Raises Forbidden unless policy (or the agent's grant) lets the caller do it to the target."""
        assert call.application is not None
        if key and call.granted(self.name, key): return
        rule = self.rule(call.application.service.name, verb)
        if not call.allowed(rule, dict(target) if target is not None else None): raise Forbidden(action=rule)

    def status_of(self, call: Call, verb: str) -> int:
        """The status of success at this microversion."""
        given = self.status.get(verb, self.dialect.status.get(verb, 200))
        if isinstance(given, int): return given
        lived = [(tuple(map(int, since.split("."))), code) for since, code in given.items()]
        return max((since, code) for since, code in lived if since <= call.version)[1]

    def schema(self, verb: str, version: tuple[int, int]) -> dict[str, Any]:
        """JSON Schema of the inner object that create or update takes at a microversion."""
        taken = {column: rules for column, rules in self.fields.items()
                 if (rules.create if verb == "create" else rules.update) and rules.lives(version)}
        properties = {rules.wire or column: _nullable(rules) for column, rules in taken.items()}
        properties |= {alias: properties[target] for alias, target in self.dialect.aliases.items() if target in properties}
        return {"type": "object", "properties": properties, "additionalProperties": self.dialect.unknown_fields == "keep",
                "required": [rules.wire or column for column, rules in taken.items() if verb == "create" and rules.create == REQUIRED]}

    def take(self, call: Call, verb: str, inner: Any) -> dict[str, Any]:
        """The checked values of a body, by column. Raises Invalid."""
        unknown = [n for n in inner if n not in self.schema(verb, call.version)["properties"]] if isinstance(inner, dict) else []
        if unknown and self.dialect.unknown_fields == "refuse": raise self._unknown(unknown)
        _checker(self, verb, call.version).check(inner)
        values: dict[str, Any] = {}
        for name, value in inner.items():
            column = self.wire_names.get(name)
            if column is None: values.setdefault("extra", {})[name] = value
            elif name not in unknown: values[column] = self._parse(name, self.fields[column], value)
        return values

    def _unknown(self, names: list[str]) -> Failure:
        listed = ", ".join(sorted(map(str, names)))[:200]
        if self.dialect.name == "neutron": return UnknownFields(names=listed)
        return faults.BodyInvalid(reason=f"Additional properties are not allowed ({listed} was unexpected)")

    def _parse(self, name: str, rules: Field, value: Any) -> Any:
        if value is None or rules.kind.parse is None: return value
        try: return rules.kind.parse(value)
        except (ValueError, TypeError) as failure:
            raise faults.BodyInvalid(reason=describe(f"{failure}.", [name], value)) from None

    def open(self, body: Any) -> Any:
        """The inner object of an enveloped body."""
        if not self.dialect.envelope: return body if isinstance(body, dict) else {}
        if not isinstance(body, dict) or not isinstance(body.get(self.name), dict):
            raise faults.BodyInvalid(reason=describe(f"The body must be an object with '{self.name}'.", [self.name], body))
        _envelope(self).check(body)
        return body[self.name]

    def render(self, call: Call, rows: list[Any], *, brief: bool = False, only: set[str] | None = None) -> list[dict[str, Any]]:
        """The rows as the API shows them at this microversion to this caller."""
        bodies = self.render_columns(call, rows)
        if self.on_render: self.on_render(call, rows, bodies)
        keep = set(self.brief) | {"links"} if brief else only
        return [{k: v for k, v in body.items() if k in keep} for body in bodies] if keep else bodies

    def render_columns(self, call: Call, rows: list[Any]) -> list[dict[str, Any]]:
        """What the columns alone say, with links; without `on_render`."""
        return rendering.bodies_of(self, call, rows)

    def wrap(self, body: dict[str, Any]) -> dict[str, Any]:
        """A single body in its envelope."""
        return {self.name: body} if self.dialect.envelope else body


def _nullable(rules: Field) -> dict[str, Any]:
    schema = dict(rules.kind.schema)
    if not rules.nullable: return schema
    if "enum" in schema: schema["enum"] = [*schema["enum"], None]
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*types, "null"]
    return schema


@lru_cache(1024)
def _envelope(resource: Resource) -> faults.Schema:
    return faults.Schema({"type": "object", "properties": {resource.name: {}, **resource.beside}, "additionalProperties": False})


@lru_cache(4096)
def _checker(resource: Resource, verb: str, version: tuple[int, int]) -> faults.Schema:
    return faults.Schema(resource.schema(verb, version))


@dataclass(slots=True)
class Answer:
    """A body with its status; the application makes a response of it."""
    status: int
    body: Any


# -- the five verbs


def list_(resource: Resource, call: Call, *, brief: bool = False) -> dict[str, Any]:
    """GET of the collection."""
    resource.permit(call, "list", _aim(resource, call, "list"))
    every = call.is_admin and not (resource.dialect.nested_target and call.identity.domain_id)
    if every and not resource.dialect.admin_sees_all:
        assert call.request is not None
        every = any(k in ("all_tenants", "all_projects") and v.lower() not in ("0", "false", "no") for k, v in call.request.query)
    page = listing.page_of(call, resource)
    conditions = [*resource.scope(call, every_project=every), *listing.filters(call, resource)]
    found, more = listing.rows(call, resource, page, conditions)
    bodies = resource.render(call, found, brief=brief, only=page.fields)
    shown: list[Any] = [{resource.name: body} for body in bodies] if resource.wrap_items else bodies
    return {resource.plural: shown} | listing.links(call, resource, page, found, more)


def show(resource: Resource, call: Call, key: str) -> dict[str, Any]:
    """GET of one."""
    row = resource.find(call, key, "show")
    fields = {v for k, v in call.request.query if k == "fields"} if call.request else set()
    return resource.wrap(resource.render(call, [row], only=fields or None)[0])


def create(resource: Resource, call: Call) -> Any:
    """POST: one, or several in the families that know bulk."""
    assert call.application is not None
    several = resource.dialect.bulk and isinstance(call.body, dict) and isinstance(call.body.get(resource.plural), list)
    inner = [_unwrapped(resource, one) for one in call.body[resource.plural]] if several else [resource.open(call.body)]
    for one in inner or [None]: resource.permit(call, "create", _aim(resource, call, "create", one if isinstance(one, dict) else None))
    made = [resource.take(call, "create", one) for one in inner]
    for values in made: _own(resource, call, values)
    if resource.before:
        for values in made: resource.before(call, values)
    try:
        with call.application.database.write() as call.db:
            rows = [_insert(resource, call, values) for values in made]
            bodies = resource.render(call, rows)
    except IntegrityError as failure:
        raise Duplicate(what=resource.name.replace("_", " ")) from failure
    finally:
        call.db = None
    return Answer(resource.status_of(call, "create"), {resource.plural: bodies} if several else resource.wrap(bodies[0]))


def _unwrapped(resource: Resource, one: Any) -> Any:
    """An item of a bulk request; neutron's clients may put each in an envelope of its own."""
    return one[resource.name] if isinstance(one, dict) and set(one) == {resource.name} else one


def _own(resource: Resource, call: Call, values: dict[str, Any]) -> None:
    """The new thing belongs to the caller's project; only an administrator or a service may name another."""
    if resource.owner is None or not hasattr(resource.table, resource.owner): return
    mine = call.user_id if resource.owner == "user_id" else call.project_id
    named = values.get(resource.owner) or mine
    if named != mine and not call.is_admin and "service" not in call.identity.roles:
        if resource.dialect.name == "neutron":
            raise Invalid("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin "
                          "privileges")
        raise Forbidden(action=f"create a {resource.name} for another {resource.owner.removesuffix('_id')}")
    if not named: raise Invalid(f"A {resource.name} needs a project: use a project-scoped token, or name {resource.owner}.")
    values[resource.owner] = named


def _insert(resource: Resource, call: Call, values: dict[str, Any]) -> Any:
    assert call.db is not None
    row = resource.table(**{k: v for k, v in values.items() if hasattr(resource.table, k)})
    for column in resource.table.__table__.columns:  # hooks and renderers see defaults before the insert
        if getattr(row, column.key) is None and column.default is not None and column.key not in values:
            setattr(row, column.key, column.default.arg(None) if column.default.is_callable else column.default.arg)
    if resource.quota:
        quota.check(call, resource.quota, getattr(row, "project_id", None) or call.project_id)
    if resource.on_create: resource.on_create(call, row, values)
    call.db.add(row)
    call.db.flush()
    _tell(resource, call, "create", row)
    return row


def update(resource: Resource, call: Call, key: str) -> Any:
    """PUT or PATCH of one: only what is named changes."""
    assert call.application is not None
    inner = resource.open(call.body)
    changes = resource.take(call, "update", inner)
    if resource.before:
        changes["id"] = key
        resource.before(call, changes)
        del changes["id"]
    try:
        with call.application.database.write() as call.db:
            row = resource.find(call, key, "update")
            _check_fixed(resource, row, inner)
            if "extra" in changes and hasattr(row, "extra"): changes["extra"] = (row.extra or {}) | changes["extra"]
            if resource.on_update: resource.on_update(call, row, changes)
            for column, value in changes.items():
                if hasattr(row, column): setattr(row, column, value)
            if hasattr(row, "updated_at"): row.updated_at = clock.now()
            if hasattr(row, "revision_number"): row.revision_number += 1
            call.db.flush()
            _tell(resource, call, "update", row)
            body = resource.wrap(resource.render(call, [row])[0])
    except IntegrityError as failure:
        raise Duplicate(what=resource.name.replace("_", " ")) from failure
    finally:
        call.db = None
    return Answer(resource.status_of(call, "update"), body)


def _check_fixed(resource: Resource, row: Any, inner: dict[str, Any]) -> None:
    """Raises Invalid if the body wants to change what was given at creation; families that keep unknown fields let it pass `take`."""
    for name, value in inner.items():
        rules = resource.fields.get(resource.wire_names.get(name, ""))
        if rules and rules.create and not rules.update and getattr(row, resource.wire_names[name]) != value:
            raise Invalid(f"Cannot change {name}")


def delete(resource: Resource, call: Call, key: str) -> Any:
    """DELETE of one."""
    assert call.db is not None
    row = resource.find(call, key, "delete")
    kept = resource.on_delete(call, row) if resource.on_delete else None
    if not kept:
        _tell(resource, call, "delete", row)
        call.db.delete(row)
    call.db.flush()
    return Answer(resource.status_of(call, "delete"), None)


def _aim(resource: Resource, call: Call, verb: str, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """What a policy rule may know before there is a row: of a list, of a new thing, or (no values) of one that does not exist."""
    if not resource.dialect.nested_target: return None
    known: dict[str, Any] = {}
    if verb != "list": known = {resource.name: {k: v for k, v in (values or {}).items() if v is not None}}
    elif domain_id := call.identity.domain_id:
        known = {"domain_id": domain_id, resource.name: {"domain_id": domain_id}, "domain": {"id": domain_id}}
    return call.identity.credentials() | {"target": known}


def _tell(resource: Resource, call: Call, verb: str, row: Any) -> None:
    assert call.db is not None
    type = resource.event.get(verb, resource.dialect.event.format(name=resource.name, verb=verb))
    if type: events.emit(call.db, type, str(getattr(row, resource.key)), lambda: events.told(row))


def _target(resource: Resource, row: Any) -> dict[str, Any]:
    """A row as the target of a policy rule."""
    target = {column: getattr(row, column) for column in resource.fields}
    for name in ("project_id", "user_id", "domain_id"):
        if hasattr(row, name): target[name] = getattr(row, name)
    if resource.dialect.nested_target: return target | {"target": {resource.name: dict(target)}}
    return target | {"tenant_id": target.get("project_id")}


def insert_many(db: Session, table: type[Base], values: list[dict[str, Any]]) -> None:
    """Inserts child rows in one statement, in the caller's transaction."""
    if values: db.execute(insert(table), values)
