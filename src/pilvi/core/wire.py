"""One attribute: what it may hold on the wire and in the database, who may set, see and filter it, since and until which microversion.

A table class's columns carry these rules:

    name: Mapped[str] = field(text(255), create=REQUIRED, update=True)
    host: Mapped[str | None] = field(text(255), show="admin")

`create=None` (the default) means that a client may not give it. Kinds check what JSON Schema can say; the rest is for a resource's hooks.
"""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_hex_id, new_id
from pilvi.core.db.types import Instant, Json

OPTIONAL = "optional"
REQUIRED = "required"
TRUE = {"true", "1", "yes", "on", "t", "y"}
FALSE = {"false", "0", "no", "off", "f", "n"}


class Base(DeclarativeBase):
    """The mapped classes of all services; a service's tables begin with its name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value: its JSON Schema, its column, and how a wire or query value becomes the stored one (ValueError if it can't)."""
    schema: dict[str, Any]
    column: Any
    parse: Callable[[Any], Any] | None = None
    query: Callable[[str], Any] = str
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """The wire rules of a column. `show`: True, False or "admin"; `wire`: its name outside if it differs."""
    kind: Kind
    create: str | None = None
    update: bool = False
    default: Any = None
    since: tuple[int, int] | None = None
    until: tuple[int, int] | None = None
    wire: str | None = None
    show: bool | str = True
    filter: bool = True
    nullable: bool = False
    admin_sets: bool = False

    def lives(self, version: tuple[int, int]) -> bool:
        """Is the attribute part of the API at this microversion?"""
        return (self.since is None or version >= self.since) and (self.until is None or version <= self.until)


def version(text: str) -> tuple[int, int]:
    """2.10 as (2, 10). Raises ValueError."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def field(
    kind: Kind, *, key: bool = False, create: str | None = None, update: bool = False, default: Any = None, since: str | None = None,
    until: str | None = None, wire: str | None = None, show: bool | str = True, filter: bool = True, nullable: bool | None = None,
    index: bool = False, unique: bool = False, admin_sets: bool = False,
) -> Any:
    """A mapped column with wire rules. A callable default is called for each new row.
    Nullable unless it is a key, required or has a default."""
    may_be_null = nullable if nullable is not None else not (key or create == REQUIRED or default is not None)
    rules = Field(kind, create, update, default, version(since) if since else None, version(until) if until else None, wire, show, filter,
                  may_be_null, admin_sets)
    return mapped_column(kind.column, primary_key=key, nullable=may_be_null, index=index, unique=unique or None, default=default,
                         info={"wire": rules})


def fields_of(table: type[Base]) -> dict[str, Field]:
    """The wire rules of a table class, by column."""
    return {column.key: column.info["wire"] for column in table.__table__.columns if "wire" in column.info}


def text(longest: int, pattern: str | None = None, shortest: int = 0) -> Kind:
    """A string, by length in characters."""
    schema: dict[str, Any] = {"type": "string", "maxLength": longest}
    if shortest: schema["minLength"] = shortest
    if pattern: schema["pattern"] = f"^(?:{pattern})$"
    return Kind(schema, String(longest) if longest <= 4096 else Text())


def uuid() -> Kind:
    """An id, with or without dashes."""
    return Kind({"type": "string", "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"}, String(64))


def integer(least: int | None = None, most: int | None = None) -> Kind:
    """A whole number; digits in a string are taken too, as the real APIs do."""
    lowest, highest = -2**63 if least is None else least, 2**63 - 1 if most is None else most  # what a column can hold

    def parse(value: Any) -> int | None:
        if value is None: return None
        number = int(value)
        if not lowest <= number <= highest: raise ValueError(f"{number} is not between {lowest} and {highest}")
        return number

    schema: dict[str, Any] = {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,18}$"}
    if least is not None: schema["minimum"] = least
    if most is not None: schema["maximum"] = most
    return Kind(schema, BigInteger() if most is None or most > 2**31 - 1 else Integer(), parse, parse)


def number(least: float | None = None) -> Kind:
    """A number."""
    schema: dict[str, Any] = {"type": "number"}
    if least is not None: schema["minimum"] = least
    return Kind(schema, Float(53), float, float)


def boolean(strict: bool = False) -> Kind:
    """True or false; the words and digits that the real APIs take for them, unless it is `strict` (keystone)."""
    if strict: return Kind({"type": "boolean"}, Boolean(), None, truth)
    words = sorted(form for word in TRUE | FALSE for form in {word, word.capitalize(), word.upper()})
    return Kind({"enum": [True, False, *words]}, Boolean(), truth, truth)


def truth(value: Any) -> bool | None:
    """A word, digit or boolean as a boolean. Raises ValueError."""
    if value is None or isinstance(value, bool): return value
    if str(value).lower() in TRUE: return True
    if str(value).lower() in FALSE: return False
    raise ValueError(f"'{value}' is not a boolean")


def one_of(*words: str) -> Kind:
    """One of a few words."""
    return Kind({"type": "string", "enum": list(words)}, String(max(32, *map(len, words))))


def ip_address() -> Kind:
    """An IPv4 or IPv6 address, kept in its shortest form."""
    return Kind({"type": "string", "maxLength": 64}, String(64), lambda v: None if v is None else str(ipaddress.ip_address(v)))


def cidr() -> Kind:
    """A network in prefix notation; host bits are cleared as neutron does."""
    def parse(value: Any) -> Any:
        return None if value is None else str(ipaddress.ip_network(value, strict=False))

    return Kind({"type": "string", "maxLength": 64}, String(64), parse)


def mac() -> Kind:
    """A unicast Ethernet address, kept in lower case."""
    def parse(value: Any) -> Any:
        if value is not None and int(value[1], 16) & 1: raise ValueError(f"'{value}' is not a unicast MAC address")
        return value and value.lower()

    return Kind({"type": "string", "pattern": "^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"}, String(32), parse, str.lower)


def instant() -> Kind:
    """A moment: seconds since 1970 inside, ISO 8601 outside."""
    def parse(value: Any) -> float | None:
        return None if value is None else clock.parse(value)

    return Kind({"type": "string", "maxLength": 64}, Instant(), parse, parse, instant=True)


def json(schema: dict[str, Any] | None = None) -> Kind:
    """Any JSON value that fits the schema."""
    return Kind(schema or {}, Json())


def list_of(item: Kind, most: int | None = None) -> Kind:
    """A list, stored as JSON."""
    schema: dict[str, Any] = {"type": "array", "items": item.schema}
    if most is not None: schema["maxItems"] = most
    parse = item.parse
    return Kind(schema, Json(), None if parse is None else lambda value: None if value is None else [parse(entry) for entry in value])


def mapping(longest_key: int = 255, longest_value: int = 255) -> Kind:
    """A flat object of strings (metadata)."""
    return Kind({"type": "object", "additionalProperties": {"type": "string", "maxLength": longest_value},
                 "propertyNames": {"maxLength": longest_key, "minLength": 1}}, Json())


class Identified:
    """id (a UUID with dashes)."""
    id: Mapped[str] = field(uuid(), key=True, default=new_id)


class HexIdentified:
    """id (a UUID without dashes, as identity writes them)."""
    id: Mapped[str] = field(text(64), key=True, default=new_hex_id)


class Timed:
    """created_at, updated_at."""
    created_at: Mapped[float] = field(instant(), default=clock.now, filter=False)
    updated_at: Mapped[float | None] = field(instant(), filter=False)


def describe(problem: str, path: list[Any], value: Any) -> str:
    """A schema violation as one sentence that names the attribute."""
    shown = re.sub(r"\s+", " ", repr(value))[:120]
    return f"Invalid input for field/attribute {'.'.join(map(str, path)) or 'body'}. Value: {shown}. {problem}"
