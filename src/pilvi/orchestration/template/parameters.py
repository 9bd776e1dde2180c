"""Parameters: what a template asks for, and the values that a stack gives it.

Source: Template Guide, "Parameters section"; API reference, "Validate template" for how they are told.
"""
from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilvi.orchestration.errors import ParameterImmutable, ParameterInvalid, ParameterMissing, ParameterUnknown, TemplateInvalid
from pilvi.orchestration.template.schema import (
    AllowedPattern,
    AllowedValues,
    Constraint,
    Custom,
    Length,
    Modulo,
    Range,
    parse_constraint,
    to_boolean,
    to_list,
    to_map,
    to_number,
    to_string,
)

KEYS = {"type", "label", "description", "default", "hidden", "constraints", "immutable", "tags"}
WIRE_TYPES = {"string": "String", "number": "Number", "comma_delimited_list": "CommaDelimitedList", "json": "Json", "boolean": "Boolean"}
FITS: dict[type[Constraint], tuple[str, ...]] = {
    Range: ("number",), Length: ("string", "comma_delimited_list", "json"), AllowedPattern: ("string",), Modulo: ("number",)}
"""Which types a constraint fits; those not named fit all."""


@dataclass(frozen=True)
class Parameter:
    """A parameter's schema."""
    name: str
    type: str
    label: str = ""
    description: str = ""
    default: Any = None
    has_default: bool = False
    hidden: bool = False
    immutable: bool = False
    constraints: tuple[Constraint, ...] = ()
    tags: tuple[str, ...] = ()

    def take(self, value: Any) -> Any:
        """The value in the parameter's type. Raises ValueError."""
        if value is None: return None
        if self.type == "comma_delimited_list": return [to_string(one) for one in to_list(value)]
        return CONVERT[self.type](_plain(value))

    def check(self, value: Any) -> None:
        """Raises ValueError for a value (in its type) that a constraint refuses; custom ones are left to who can find things."""
        for constraint in self.constraints:
            if self.type == "comma_delimited_list" and isinstance(constraint, AllowedPattern):
                for one in value: constraint.check(one)
            else: constraint.check(value)

    @property
    def customs(self) -> list[Custom]:
        return [one for one in self.constraints if isinstance(one, Custom)]


CONVERT: dict[str, Callable[[Any], Any]] = {"string": to_string, "number": to_number, "json": to_map, "boolean": to_boolean}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


def parse_parameter(name: str, written: Any, version: str) -> Parameter:
    """Raises TemplateInvalid."""
    if not isinstance(written, Mapping):
        raise TemplateInvalid(reason=f"Invalid parameter {name}: it must be a mapping, found {type(written).__name__}")
    for key in written:
        if key not in KEYS: raise TemplateInvalid(reason=f"Invalid key '{key}' for parameter ({name})")
    kind = written.get("type")
    if kind is None: raise TemplateInvalid(reason=f"Missing parameter type for parameter: {name}")
    if kind not in WIRE_TYPES: raise TemplateInvalid(reason=f"Invalid type ({kind}) for parameter {name}")
    limits = written.get("constraints") or []
    if not isinstance(limits, list): raise TemplateInvalid(reason=f"Invalid parameter constraints for parameter {name}, expected a list")
    try:
        constraints = tuple(parse_constraint(one) for one in limits)
        for one in constraints:
            if kind not in FITS.get(type(one), (kind,)): raise ValueError(f"{type(one).__name__} constraint invalid for type {kind}")
        found = Parameter(name, kind, str(written.get("label") or ""), str(written.get("description") or ""), written.get("default"),
                          written.get("default") is not None, to_boolean(written.get("hidden", False)),
                          to_boolean(written.get("immutable", False)), constraints, tuple(map(str, written.get("tags") or ())))
        if found.has_default: found.check(found.take(found.default))
    except (ValueError, TypeError) as failure:
        raise TemplateInvalid(reason=f"Invalid parameter {name}: {failure}") from None
    return found


@dataclass(frozen=True)
class Values:
    """The values of a stack's parameters, in their types; `given` names those that did not come from a default."""
    schema: Mapping[str, Parameter]
    values: Mapping[str, Any]
    given: frozenset[str]
    pseudo: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """Raises ParameterMissing."""
        if name in self.pseudo: return self.pseudo[name]
        if name not in self.schema: raise ParameterMissing(name=name)
        return self.values.get(name)

    def shown(self) -> dict[str, str]:
        """As the API tells them: text, hidden ones covered."""
        told = {name: None if value is None else str(value) for name, value in self.pseudo.items()}
        for name, rules in self.schema.items():
            value = self.values.get(name)
            told[name] = "******" if rules.hidden else _shown(rules, value)
        return told  # type: ignore[return-value]


def _shown(rules: Parameter, value: Any) -> str | None:
    if value is None: return None
    if rules.type == "comma_delimited_list": return ",".join(value)
    if rules.type == "json": return msgspec.json.encode(value).decode()
    return str(value)


def values_of(schema: Mapping[str, Parameter], given: Mapping[str, Any], defaults: Mapping[str, Any], pseudo: Mapping[str, Any],
              *, strict: bool = True) -> Values:
    """The values from what the user gave, the environment's parameter_defaults, and the template's defaults.
    `strict`: raises ParameterMissing, ParameterUnknown, ParameterInvalid."""
    for name in given:
        if strict and name not in schema and name not in pseudo: raise ParameterUnknown(name=name)
    values, told = {}, set()
    for name, rules in schema.items():
        if name in given: written, source = given[name], True
        elif name in defaults: written, source = defaults[name], True
        elif rules.has_default: written, source = rules.default, False
        elif strict: raise ParameterMissing(name=name)
        else: continue
        try:
            value = rules.take(written)
            if value is None and source and rules.has_default and given.get(name, 0) is None: value = rules.take(rules.default)
            if value is not None: rules.check(value)
            elif strict: raise ParameterMissing(name=name)
        except (ValueError, TypeError) as failure:
            if strict: raise ParameterInvalid(name=name, reason=str(failure)) from None
            continue
        values[name] = value
        if source: told.add(name)
    return Values(schema, values, frozenset(told), pseudo)


def check_immutable(old: Values, new: Values) -> None:
    """Raises ParameterImmutable if an update changes a parameter that may not change."""
    changed = [name for name, rules in new.schema.items() if rules.immutable and name in old.schema
               and old.values.get(name) != new.values.get(name)]
    if changed: raise ParameterImmutable(names=", ".join(sorted(changed)))


def described(rules: Parameter, value: Any = None) -> dict[str, Any]:
    """A parameter as `POST /validate` tells it."""
    told: dict[str, Any] = {"Type": WIRE_TYPES[rules.type], "NoEcho": "true" if rules.hidden else "false",
                            "Description": rules.description, "Label": rules.label or rules.name}
    if rules.has_default: told["Default"] = rules.default
    if value is not None: told["Value"] = value
    for one in rules.constraints: told |= _wire_constraint(one)
    if rules.tags: told["Tags"] = list(rules.tags)
    return told


def _wire_constraint(one: Constraint) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if isinstance(one, AllowedValues): told["AllowedValues"] = list(one.values)
    if isinstance(one, AllowedPattern): told["AllowedPattern"] = one.pattern
    if isinstance(one, Custom): told["CustomConstraint"] = one.name
    if isinstance(one, Modulo): told |= {"Step": one.step, "Offset": one.offset}
    for kind, least, most in ((Length, "MinLength", "MaxLength"), (Range, "MinValue", "MaxValue")):
        if isinstance(one, kind):
            if one.min is not None: told[least] = one.min
            if one.max is not None: told[most] = one.max
    if told and one.description: told["ConstraintDescription"] = one.description
    return told
