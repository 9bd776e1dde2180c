"""What a resource type is: the properties it takes, the attributes it has, and hooks that make, change and end the real thing.

A type is a class with one instance, which keeps nothing: all that is known of one resource is in its `Work`. Hooks run in a thread of the
engine, outside any transaction, with a token of the stack's owner:

    create(work)              begin; set work.physical_id as soon as the thing exists         then created(work) is asked until it says True
    update(work, changes)     changes: {property: new value or None} of those that differ; work.properties are the new ones
                                                                                              then updated(work, changes)
    delete(work)              a thing that is gone already is no error                        then deleted(work)
    check(work)               raise if the thing is gone or broken
    suspend, resume           and suspended, resumed
    snapshot(work) → data     and snapshotted(work, data); restored by `restored_properties`; ended by delete_snapshot(work, data)
    signal(work, details)     what somebody posted to the resource's signal URL
    attribute(work, name)     asked live when a template or a client wants it

`work.physical_id` and `work.data` are saved after each hook, also after one that raises. The process may die between the effect and the
save; then the hook is called again with `work.again` true: look before you make (RestResource does).
A hook that fails raises: any Failure or Exception ends the operation as FAILED with its message; `Replace` (from update) asks for a new
one. An `Unavailable` (a service is away) is not a failure: the hook is called again a little later.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pilvi.core.context import Call
from pilvi.core.errors import Failure, NotFound
from pilvi.core.http.client import send
from pilvi.orchestration.template.environment import Environment
from pilvi.orchestration.template.schema import Constraint, to_boolean, to_integer, to_list, to_map, to_number, to_string
from pilvi.orchestration.template.values import UNKNOWN, select, unknown_in

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

STRING, INTEGER, NUMBER, BOOLEAN, LIST, MAP, ANY = "string", "integer", "number", "boolean", "list", "map", "any"
HEADERS = {"compute": {"openstack-api-version": "compute 2.96"}, "volume": {"openstack-api-version": "volume 3.70"},
           "placement": {"openstack-api-version": "placement 1.39"}}
"""The microversions that types speak, by service."""


class ResourceFailed(Failure):
    """Went to status {status} due to "{reason}\""""


class Replace(Exception):
    """Raised by `update`: the change can't be made in place, make a new one."""


class PropertyInvalid(Failure):
    """Property error: {path}: {reason}"""
    status = 400


@dataclass(frozen=True)
class Property:
    """The schema of one property. `update`: it may change in place; `immutable`: an update that changes it is refused;
    neither: a change replaces the resource. `wire`: its name in the API if it differs; "" keeps it out of the API's body.
    `refers`: the value is the name or id of such a thing (a kind in types/finders.py); hooks see its id."""
    type: str
    description: str = ""
    default: Any = None
    required: bool = False
    update: bool = False
    immutable: bool = False
    constraints: tuple[Constraint, ...] = ()
    item: Property | None = None
    """Of a list: what each item is."""
    keys: Mapping[str, Property] | None = None
    """Of a map: its keys; None: any."""
    wire: str | None = None
    refers: str = ""
    since: str = "2014.1"
    older: tuple[str, ...] = ()
    """Names that it had in earlier releases; templates still use them."""

    def shown(self) -> dict[str, Any]:
        """As `GET /resource_types/{name}` tells it."""
        limits = [one.shown() for one in self.constraints]
        if self.refers: limits.append({"custom_constraint": self.refers})
        told: dict[str, Any] = {"type": self.type, "required": self.required, "update_allowed": self.update, "immutable": self.immutable}
        if self.description: told["description"] = self.description
        if self.default is not None: told["default"] = self.default
        if limits: told["constraints"] = limits
        if self.item: told["schema"] = {"*": self.item.shown()}
        elif self.keys: told["schema"] = {name: inner.shown() for name, inner in self.keys.items()}
        return told

    def take(self, value: Any, path: str) -> Any:
        """The value in its type, defaults of inner maps filled in. Raises PropertyInvalid. None stays None."""
        if value is None or value is UNKNOWN: return value
        try:
            if not unknown_in(value) or self.type not in (STRING, ANY): value = CONVERT[self.type](value)
            if unknown_in(value) and self.type == STRING: return UNKNOWN
            for constraint in self.constraints: constraint.check(value)
        except (ValueError, TypeError, OverflowError) as failure:
            raise PropertyInvalid(path=path, reason=str(failure)) from None
        if isinstance(value, list) and self.item:
            return [self.item.take(one, f"{path}[{index}]") for index, one in enumerate(value)]
        if isinstance(value, dict) and self.keys is not None: return take_all(self.keys, value, path)
        return value


CONVERT: dict[str, Callable[[Any], Any]] = {STRING: to_string, INTEGER: to_integer, NUMBER: to_number, BOOLEAN: to_boolean, LIST: to_list,
                                            MAP: to_map, ANY: lambda value: value}


def take_all(schema: Mapping[str, Property], given: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The given values with defaults, each in its type; None for what has neither. Raises PropertyInvalid."""
    dot = path + "." if path else ""
    known = {*schema, *(older for rules in schema.values() for older in rules.older)}
    for name in given:
        if name not in known: raise PropertyInvalid(path=path or name, reason=f"Unknown Property {name}")
    taken = {}
    for name, rules in schema.items():
        value = next((given[one] for one in (name, *rules.older) if given.get(one) is not None), None)
        if value is None and rules.required: raise PropertyInvalid(path=path or name, reason=f"Property {name} not assigned")
        taken[name] = rules.take(rules.default if value is None else value, dot + name)
    return taken


def present_names(schema: Mapping[str, Property], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values under the names that properties have now; what is in no schema is left out."""
    found: dict[str, Any] = {}
    for name, rules in schema.items():
        for one in (name, *rules.older):
            if given.get(one) is not None: found.setdefault(name, given[one])
    return found


def taken(kind: ResourceType, given: Mapping[str, Any]) -> dict[str, Any]:
    """A resource's properties in their types, with defaults. Raises PropertyInvalid."""
    return dict(given) if kind.takes_anything else take_all(kind.properties, given)


def string(description: str = "", **rules: Any) -> Property:
    return Property(STRING, description, **rules)


def integer(description: str = "", **rules: Any) -> Property:
    return Property(INTEGER, description, **rules)


def number(description: str = "", **rules: Any) -> Property:
    return Property(NUMBER, description, **rules)


def boolean(description: str = "", **rules: Any) -> Property:
    return Property(BOOLEAN, description, **rules)


def list_of(item: Property | None = None, description: str = "", **rules: Any) -> Property:
    """A list; `item` says what of."""
    return Property(LIST, description, item=item, **rules)


def map_of(keys: Mapping[str, Property] | None = None, description: str = "", **rules: Any) -> Property:
    """A map; `keys` says of what, None: any."""
    return Property(MAP, description, keys=keys, **rules)


@dataclass(frozen=True)
class Attribute:
    """An attribute that `get_attr` can ask for. `wire`: its name in the API's answer if it differs."""
    description: str = ""
    type: str = STRING
    wire: str | None = None

    def shown(self) -> dict[str, Any]:
        """As `GET /resource_types/{name}` tells it."""
        return {"description": self.description, "type": self.type}


SHOW = Attribute("Detailed information about resource.", MAP)
"""`show`, which every resource has: all that the API says about it."""


@dataclass(frozen=True)
class Place:
    """Where a resource stands: what a stack nested in it inherits."""
    environment: Environment
    files: Mapping[str, Any]
    depth: int = 0


@dataclass(frozen=True)
class Child:
    """A stack to be nested in a resource."""
    template: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    """Its registry and defaults; `parameters` are apart."""


@dataclass(frozen=True)
class Member:
    """A resource of a nested stack, as its group sees it."""
    id: str
    name: str
    status: str
    physical_id: str | None
    reference: Any
    created_at: float


class Engine(Protocol):
    """What Heat's own types may ask of the engine (stack/door.py). Not inside a transaction."""

    def known(self, physical_id: str) -> bool:
        """Does a resource of any stack have this physical id?"""

    def make_child(self, work: Work, child: Child) -> str:
        """The id of the stack nested in the resource; made if it is not there."""

    def update_child(self, work: Work, child: Child) -> None:
        """Begins to converge the nested stack to the new template."""

    def act_on_child(self, work: Work, action: str) -> None:
        """Begins DELETE, SUSPEND, RESUME or CHECK of the nested stack; one that is gone is no error."""

    def child_status(self, work: Work) -> tuple[str, str | None, str] | None:
        """(state, busy, reason) of the nested stack; None if it is gone."""

    def child_output(self, work: Work, name: str) -> Any:
        """An output of the nested stack. Raises NotFound."""

    def members(self, work: Work) -> list[Member]:
        """The resources of the nested stack, by name."""

    def member_attribute(self, work: Work, member: str, attribute: str | None, path: list[Any]) -> Any:
        """An attribute of one of them; of all without a name."""

    def signal_url(self, work: Work, kind: str = "signal") -> str:
        """A URL that needs nothing but a POST: "signal", "waitcondition" (cfn, PUT)."""

    def sibling(self, work: Work, reference: str) -> Work | None:
        """Another resource of the same project, by its physical id; for types that act on others."""

    def named(self, work: Work, name: str) -> Work | None:
        """Another resource of the same stack, by its name."""

    def write_data(self, resource_id: str, changes: Mapping[str, Any]) -> None:
        """Changes what another resource remembers."""

    def write_metadata(self, resource_id: str, metadata: Mapping[str, Any]) -> None:
        """Replaces a resource's metadata."""

    def wake(self, resource_id: str) -> None:
        """Something happened that the resource may be waiting for: ask it now."""


@dataclass
class Work:
    """One resource in the hands of a hook."""
    application: Application
    call: Call
    """Whoever owns the stack; for `send` and the services' clients."""
    resource_id: str
    """Of the row: unique for ever, also over replacements."""
    name: str
    """In the template."""
    stack_id: str
    stack_name: str
    project_id: str
    properties: Mapping[str, Any]
    """All of the schema's, with defaults; None for what was not given."""
    physical_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """What the type remembers (JSON), private to it."""
    metadata: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    """An earlier call of the hook may have had its effect without its outcome having been saved."""
    began_at: float = 0.0
    """When the operation began; limits of its own (a wait condition's) count from here."""
    user_id: str = ""
    engine: Engine | None = None
    place: Place | None = None

    @property
    def physical_name(self) -> str:
        """A name for the real thing when the template gives none: STACK-RESOURCE-SUFFIX, unique by its suffix."""
        suffix = self.resource_id.replace("-", "")[:12]
        room = 255 - len(suffix) - len(self.name) - 2
        return f"{self.stack_name[:max(room, 1)]}-{self.name}-{suffix}"

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer's JSON to one request to a service's public API, as the stack's owner. Raises the Failure of its status."""
        return send(self.call, service, method, path, body=body, query=query or None, headers=HEADERS.get(service)).json()

    def gone(self, service: str, path: str, method: str = "GET") -> bool:
        """Is there nothing at the path (any more)?"""
        try: self.ask(service, method, path)
        except NotFound: return True
        return False


class ResourceType:
    """One type. Inherit it and override what applies; the defaults are those of a thing that needs no work."""

    name: str = ""
    description: str = ""
    since: str = "2014.1"
    properties: Mapping[str, Property] = {}
    attributes: Mapping[str, Attribute] = {}
    requires_service: str = ""
    """The service ("network") without which the type is not offered."""
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 2.0
    local: bool = False
    """Has no effect outside its own data: it is made and recorded in one go."""
    takes_anything: bool = False
    """Takes properties that are in no schema."""
    always_update: bool = False
    """Is asked to update by each update of the stack, changed properties or not (nested stacks: their template may have changed)."""
    """How soon `created` and its kin are asked again: the first time, and at most (each wait is half as long again as the one before)."""

    # -- before there is anything

    def validate(self, properties: Mapping[str, Any]) -> None:
        """Raises PropertyInvalid for what the schema can't say. Values that are not known yet (another's attribute) are None."""

    def more_attributes(self, name: str) -> bool:
        """Is this an attribute though `attributes` does not list it? (Groups: resource.0.name.)"""
        return False

    def hidden_requirements(self, name: str, resources: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Iterable[str]:
        """Names of resources of the same template that this one must come after though no function says so.
        `resources`: {name: (type, properties as the template writes them)}."""
        return ()

    # -- the life

    def create(self, work: Work) -> None: ...

    def created(self, work: Work) -> bool:
        return True

    def update(self, work: Work, changes: Mapping[str, Any]) -> None: ...

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return True

    def delete(self, work: Work) -> None: ...

    def deleted(self, work: Work) -> bool:
        return True

    def check(self, work: Work) -> None: ...

    def checked(self, work: Work) -> bool:
        return True

    def suspend(self, work: Work) -> None: ...

    def suspended(self, work: Work) -> bool:
        return True

    def resume(self, work: Work) -> None: ...

    def resumed(self, work: Work) -> bool:
        return True

    def snapshot(self, work: Work) -> dict[str, Any]:
        """What must be known to restore it."""
        return {}

    def snapshotted(self, work: Work, data: dict[str, Any]) -> bool:
        return True

    def restored_properties(self, work: Work, data: dict[str, Any]) -> Mapping[str, Any]:
        """The properties that bring the snapshot back (a volume: with `backup_id`)."""
        return {}

    def delete_snapshot(self, work: Work, data: dict[str, Any]) -> None: ...

    def given_up(self, work: Work) -> None:
        """The action in progress was ended from outside (a timeout, a newer wish): tell whoever waits. Must not wait itself."""

    def signal(self, work: Work, details: Any) -> str | None:
        """What the signal means, for the event. Types that take none answer 400."""
        raise NotImplementedError

    # -- questions

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        """For attributes that `more_attributes` knows: with what follows its name in get_attr."""
        return select(self.attribute(work, name), path)

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        """Can't the changes be made in place? Only asked when all of them are to properties that may be updated."""
        return False

    def failed_needs_replacement(self, work: Work) -> bool:
        """Is a resource whose last operation failed to be replaced at the next update (or can it be mended by `update`)?"""
        return True

    def reference(self, work: Work) -> Any:
        """What get_resource gives."""
        return work.physical_id or work.physical_name

    def attribute(self, work: Work, name: str) -> Any:
        """The attribute's value now; raises NotFound if the thing is gone."""
        return None
