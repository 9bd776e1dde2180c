"""A stack as it is wanted: template, environment and parameters together, with each resource's type and what it comes after.

Pure but for the registry of types. `plan` validates: what it returns can be carried out as far as that is known before anything is there.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilvi.core.errors import Failure
from pilvi.orchestration import graph
from pilvi.orchestration.errors import TemplateInvalid, TypeUnavailable
from pilvi.orchestration.template import cloudformation, functions, parameters, parse, values
from pilvi.orchestration.template import environment as environments
from pilvi.orchestration.template.budget import Budget
from pilvi.orchestration.template.environment import Environment
from pilvi.orchestration.template.parse import Definition, Template
from pilvi.orchestration.template.values import UNKNOWN
from pilvi.orchestration.template.versions import CFN
from pilvi.orchestration.types import TYPES, offered, type_of
from pilvi.orchestration.types.heat.provider import TemplateType, provider
from pilvi.orchestration.types.interface import PropertyInvalid, ResourceType, taken

DEPTH_MOST = 10


@dataclass(frozen=True)
class Planned:
    """A resource as it is wanted. `preview`: its properties as far as they are known; UNKNOWN is what is not."""
    definition: Definition
    type_name: str
    """What the registry made of the template's word."""
    type: ResourceType
    requires: frozenset[str]
    preview: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """A whole stack as it is wanted."""
    template: Template
    environment: Environment
    files: Mapping[str, Any]
    values: parameters.Values
    resources: Mapping[str, Planned]
    facade: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0

    def required_by(self) -> dict[str, list[str]]:
        """{name: names that come after it}"""
        return graph.reversed_edges({name: one.requires for name, one in self.resources.items()})


@dataclass
class RecordingScope:
    """A scope in which no resource exists yet: it writes down who is asked for. `known`: names that may be."""
    version: str
    conditions: Mapping[str, Any]
    values: parameters.Values
    files: Mapping[str, Any]
    known: Mapping[str, ResourceType | None]
    facade_parts: Mapping[str, Any]
    budget: Budget = field(default_factory=Budget)
    seen: set[str] = field(default_factory=set)

    def parameter(self, name: str) -> Any:
        return self.values.get(name)

    def has_parameter(self, name: str) -> bool:
        return name in self.values.schema or name in self.values.pseudo

    def reference(self, name: str) -> Any:
        self._meet(name)
        return UNKNOWN

    def attribute(self, name: str, attribute: str | None, path: list[Any]) -> Any:
        self._meet(name)
        kind = self.known[name]
        if attribute is not None and kind is not None and not has_attribute(kind, attribute):
            raise TemplateInvalid(reason=f"The Referenced Attribute ({name} {attribute}) is incorrect.")
        return UNKNOWN

    def _meet(self, name: str) -> None:
        if name not in self.known: raise TemplateInvalid(reason=f'The specified reference "{name}" is incorrect.')
        self.seen.add(name)

    def file(self, name: str) -> str:
        if name not in self.files: raise TemplateInvalid(reason=f'No content found in the "files" section for get_file path: {name}')
        found = self.files[name]
        return found if isinstance(found, str) else str(found)

    def facade(self, part: str) -> Any:
        return self.facade_parts.get(part) or ({} if part != "deletion_policy" else "Delete")


def has_attribute(kind: ResourceType, name: str) -> bool:
    """Can get_attr ask for it? Groups answer to more than they list (resource.0.name)."""
    return name in kind.attributes or name == "show" or kind.more_attributes(name)


def pseudo(stack_id: str, stack_name: str, project_id: str) -> dict[str, Any]:
    """The parameters that every stack has."""
    return {"OS::stack_id": stack_id, "OS::stack_name": stack_name, "OS::project_id": project_id}


def plan(raw: Any, files: Mapping[str, Any], environment: Environment, pseudo_values: Mapping[str, Any], *, strict: bool = True,
         facade: Mapping[str, Any] | None = None, depth: int = 0) -> Plan:
    """Raises TemplateInvalid and its kin. `strict`: unknown parameters are refused and every value is checked."""
    template = parse.parse(raw)
    if template.version in CFN.values(): pseudo_values = cloudformation.pseudo(pseudo_values)
    given = {name: value for name, value in environment.parameters.items()}
    found = parameters.values_of(template.parameters, given, environment.defaults, pseudo_values, strict=strict)
    budget = Budget()

    def scope(known: Mapping[str, ResourceType | None]) -> RecordingScope:
        return RecordingScope(template.version, template.conditions, found, files, known, facade or {}, budget)

    conditions = scope({})
    for name in template.conditions: _at(f"conditions.{name}", functions.holds, name, conditions)
    active = {name: one for name, one in template.resources.items()
              if _at(f"resources.{name}.condition", functions.holds, one.condition, conditions)}
    types = {name: _at(f"resources.{name}", _type, one, environment, files, depth) for name, one in active.items()}
    known: dict[str, ResourceType | None] = {name: None for name in template.resources}
    known |= {name: kind for name, (_, kind) in types.items()}
    planned = {name: _planned(one, types[name], scope(known), active, strict) for name, one in active.items()}
    planned = _with_hidden(planned)
    graph.check_acyclic({name: one.requires for name, one in planned.items()})
    return Plan(template, environment, files, found, planned, facade or {}, depth)


def _type(definition: Definition, environment: Environment, files: Mapping[str, Any], depth: int) -> tuple[str, ResourceType]:
    name = environment.type_of(definition.type, definition.name)
    if environments.is_file(name): return name, _provider(name, files, environment.within(definition.name), depth)
    return name, _known_type(name, definition.type, environment)


def _provider(name: str, files: Mapping[str, Any], inner: Environment, depth: int) -> TemplateType:
    if depth >= DEPTH_MOST: raise TemplateInvalid(reason=f"Recursion depth exceeds {DEPTH_MOST}.")
    if name not in files: raise TemplateInvalid(reason=f"Could not fetch remote template '{name}': it is not among the stack's files.")
    return provider(name, files[name])


def _known_type(name: str, written: str, environment: Environment) -> ResourceType:
    if name not in TYPES: raise TemplateInvalid(reason=f"The Resource Type ({written}) could not be found.")
    kind = type_of(name)
    if not offered(kind): raise TypeUnavailable(service=kind.requires_service, name=name)
    return kind


def _planned(one: Definition, kind: tuple[str, ResourceType], scope: RecordingScope, active: Mapping[str, Definition],
             strict: bool) -> Planned:
    where = f"resources.{one.name}"
    preview = _resolved(where, one, scope)
    for part, written in (("metadata", one.metadata), ("update_policy", one.update_policy), ("external_id", one.external_id)):
        _at(f"{where}.{part}", functions.resolve, written, scope)
    needs = {*scope.seen, *one.depends_on} & set(active)
    if one.name in scope.seen: raise TemplateInvalid(reason=f"Circular Dependency Found: {one.name} refers to itself")
    if strict and not one.external_id:
        _check(where, kind[1], preview)
    return Planned(one, kind[0], kind[1], frozenset(needs), preview)


def _resolved(where: str, one: Definition, scope: RecordingScope) -> dict[str, Any]:
    """The properties as far as they are known, each by itself, so that a failure names it."""
    found: dict[str, Any] = {}
    for name, written in one.properties.items():
        try: value = functions.resolve({name: written}, scope)
        except Failure as failure: raise _property_error(where, str(name), failure.message) from None
        found |= value
    return found


def _check(where: str, kind: ResourceType, preview: Mapping[str, Any]) -> None:
    """Raises TemplateInvalid for properties that don't fit the type's schema."""
    try: kind.validate(values.known(taken(kind, preview)))
    except PropertyInvalid as failure:
        path, reason = failure.facts["path"], failure.facts["reason"]
        raise _property_error(where, "" if reason.startswith(("Unknown Property", "Property ")) else path, reason) from None
    except TemplateInvalid as failure: raise functions.place(where, failure) from None


def _property_error(where: str, path: str, reason: str) -> TemplateInvalid:
    """In Heat's words."""
    return TemplateInvalid(reason=f"Property error: : {where}.properties{'.' + path if path else ''}: : {reason}")


def _with_hidden(planned: dict[str, Planned]) -> dict[str, Planned]:
    """Adds what must come first though no function says so (a port comes after the subnets of its network)."""
    written = {name: (one.type_name, one.definition.properties) for name, one in planned.items()}
    changed = {}
    for name, one in planned.items():
        more = frozenset(one.type.hidden_requirements(name, written)) & planned.keys() - {name}
        changed[name] = dataclasses.replace(one, requires=one.requires | more) if more else one
    return changed


def _at(where: str, do: Callable[..., Any], *arguments: Any) -> Any:
    """Does it; a failure names the place in the template."""
    try: return do(*arguments)
    except TemplateInvalid as failure: raise functions.place(where, failure) from None
    except Failure as failure:
        if failure.status != 400 or failure.code: raise
        raise functions.place(where, failure) from None

