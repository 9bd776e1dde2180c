"""Types of template values and the constraints on them, shared by parameters (in templates) and properties (of resource types).

Source: Template Guide, "Parameters section", "Parameter Constraints".
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilvi.core.pattern import Pattern

Finder = Callable[[str, Any], str]
"""(kind, name or id) → id. Raises ValueError when there is no such thing."""
TRUE, FALSE = {"true", "t", "yes", "y", "on", "1"}, {"false", "f", "no", "n", "off", "0"}
LONGEST_PATTERN = 1000


class Constraint:
    """A condition on a value. `check` raises ValueError with a sentence; `shown` is how the API tells it."""

    description: str | None = None

    def check(self, value: Any) -> None:
        """Raises ValueError."""

    def shown(self) -> dict[str, Any]:
        """As in a resource type's or a template's description."""
        return {}


@dataclass(frozen=True)
class AllowedValues(Constraint):
    """One of a list (for lists: each item)."""
    values: tuple[Any, ...]
    description: str | None = None

    def check(self, value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            if one not in self.values and str(one) not in map(str, self.values):
                raise ValueError(self.description or f'"{one}" is not an allowed value {_quoted(self.values)}')

    def shown(self) -> dict[str, Any]:
        return {"allowed_values": list(self.values)}


@dataclass(frozen=True)
class Length(Constraint):
    """Of a string, list or map."""
    min: int | None = None
    max: int | None = None
    description: str | None = None

    def check(self, value: Any) -> None:
        length = len(value)
        if (self.min is not None and length < self.min) or (self.max is not None and length > self.max):
            raise ValueError(self.description or f"length ({length}) is out of range (min: {self.min}, max: {self.max})")

    def shown(self) -> dict[str, Any]:
        return {"length": _bounds(self.min, self.max)}


@dataclass(frozen=True)
class Range(Constraint):
    """Of a number."""
    min: float | None = None
    max: float | None = None
    description: str | None = None

    def check(self, value: Any) -> None:
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            raise ValueError(self.description or f"{value} is out of range (min: {self.min}, max: {self.max})")

    def shown(self) -> dict[str, Any]:
        return {"range": _bounds(self.min, self.max)}


@dataclass(frozen=True)
class AllowedPattern(Constraint):
    """A regular expression that the whole string fits."""
    pattern: str
    description: str | None = None

    def check(self, value: Any) -> None:
        if not Pattern(self.pattern).fits(str(value)):
            raise ValueError(self.description or f'"{value}" does not match pattern "{self.pattern}"')

    def shown(self) -> dict[str, Any]:
        return {"allowed_pattern": self.pattern}


@dataclass(frozen=True)
class Modulo(Constraint):
    """value % step == offset."""
    step: int
    offset: int
    description: str | None = None

    def check(self, value: Any) -> None:
        if int(value) % self.step != self.offset:
            raise ValueError(self.description or f"{value} is not a multiple of {self.step} with an offset of {self.offset}")

    def shown(self) -> dict[str, Any]:
        return {"modulo": {"step": self.step, "offset": self.offset}}


@dataclass(frozen=True)
class Custom(Constraint):
    """The name or id of a thing that must exist ("neutron.network"); whoever has a finder checks it."""
    name: str
    description: str | None = None

    def shown(self) -> dict[str, Any]:
        return {"custom_constraint": self.name}


def _bounds(least: float | None, most: float | None) -> dict[str, Any]:
    return {name: bound for name, bound in (("min", least), ("max", most)) if bound is not None}


def _quoted(values: tuple[Any, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values) + "]"


def parse_constraint(written: Any) -> Constraint:
    """A constraint as a template writes it: one key beside `description`. Raises ValueError."""
    if not isinstance(written, Mapping): raise ValueError(f"Invalid parameter constraints, expected a mapping, got {written!r:.80}")
    said = written.get("description")
    kinds = [key for key in written if key != "description"]
    if len(kinds) != 1: raise ValueError("A constraint has one kind and maybe a description")
    kind, value = kinds[0], written[kinds[0]]
    if kind == "allowed_values" and isinstance(value, list): return AllowedValues(tuple(value), said)
    if kind == "allowed_pattern" and isinstance(value, str): return AllowedPattern(_pattern(value), said)
    if kind == "custom_constraint" and isinstance(value, str): return Custom(value, said)
    if kind in ("length", "range", "modulo") and isinstance(value, Mapping):
        known = {"length": ("min", "max"), "range": ("min", "max"), "modulo": ("step", "offset")}[kind]
        if extra := set(value) - set(known): raise ValueError(f"Invalid key {sorted(map(str, extra))[0]!r} in {kind} constraint")
        numbers = {name: to_number(bound) for name, bound in value.items()}
        if not numbers: raise ValueError(f"A {kind} constraint must have {' or '.join(known)}")
        if kind == "modulo": return _modulo(numbers, said)
        if kind == "range": return Range(description=said, **numbers)
        return Length(description=said, **{name: int(bound) for name, bound in numbers.items()})
    raise ValueError(f"Invalid constraint {kind!r:.80}" if kind not in SHAPES else f"The {kind} constraint takes {SHAPES[kind]}")


SHAPES = {"allowed_values": "a list", "allowed_pattern": "a string", "custom_constraint": "a string", "length": "a mapping",
          "range": "a mapping", "modulo": "a mapping"}


def _pattern(text: str) -> str:
    if len(text) > LONGEST_PATTERN: raise ValueError("The pattern is too long")
    return Pattern(text).text


def _modulo(numbers: dict[str, Any], said: str | None) -> Modulo:
    if set(numbers) != {"step", "offset"}: raise ValueError("step and offset must be both specified")
    step, offset = int(numbers["step"]), int(numbers["offset"])
    if step == 0 or abs(offset) >= abs(step) or step * offset < 0: raise ValueError("offset must be smaller than step, with the same sign")
    return Modulo(step, offset, said)


# -- values by their type


def to_number(value: Any) -> int | float:
    """Raises ValueError."""
    if isinstance(value, bool): raise ValueError(f"Value '{value}' is not a number")
    if isinstance(value, int | float): return value
    try: return int(value)
    except (TypeError, ValueError): pass
    try: return float(value)
    except (TypeError, ValueError): raise ValueError(f"could not convert string to float: {value!r:.80}") from None


def to_integer(value: Any) -> int:
    """Raises ValueError."""
    number = to_number(value)
    if number != int(number): raise ValueError(f"Value '{value!r:.80}' is not an integer")
    return int(number)


def to_boolean(value: Any) -> bool:
    """Raises ValueError."""
    if isinstance(value, bool): return value
    word = str(value).strip().lower()
    if word in TRUE: return True
    if word in FALSE: return False
    raise ValueError(f"\"{value!s:.80}\" is not a valid boolean")


def to_string(value: Any) -> str:
    """A scalar as text, as YAML would write it; JSON for the rest."""
    if isinstance(value, str): return value
    if isinstance(value, list | dict): return msgspec.json.encode(value).decode()
    return str(value)


def to_list(value: Any) -> list[Any]:
    """A list, or text with commas. Raises ValueError."""
    if isinstance(value, list): return value
    if isinstance(value, str): return [part.strip() for part in value.split(",")] if value else []
    raise ValueError(f"Value must be a list or a comma-delimited list string: {value!r:.80}")


def to_map(value: Any) -> Any:
    """A map or list, or its JSON. Raises ValueError."""
    if isinstance(value, dict | list): return value
    try: found = msgspec.json.decode(value)
    except (msgspec.DecodeError, TypeError): raise ValueError(f"Value must be valid JSON: {value!r:.80}") from None
    if not isinstance(found, dict | list): raise ValueError(f"Value must be a JSON map or list: {value!r:.80}")
    return found
