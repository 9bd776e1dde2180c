"""Queries as SQL: a checked tree (`search.py`) over the columns of resources and over the attributes of their type.

Source: Gnocchi REST API, "Search". Attributes lie in one JSON column; each comparison is made in the attribute's own type.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, cast, func, not_, or_, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.telemetry import errors, timespan
from pilvi.telemetry.resource_kind import Attribute
from pilvi.telemetry.resources.access import resource_id
from pilvi.telemetry.resources.tables import MetricResource, MetricRevision

TEXTS = ("id", "type", "original_resource_id", "creator", "user_id", "project_id")
INSTANTS = ("started_at", "ended_at", "revision_start", "revision_end")
ACTS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
Table = type[MetricResource] | type[MetricRevision]


def attribute(db: Session, table: Table, name: str, kind: str) -> Any:
    """An attribute of the JSON column as an expression of its own type."""
    if db.get_bind().dialect.name == "postgresql":
        found = cast(table.attributes, JSONB)[name].astext
        return cast(found, Float) if kind in ("number", "datetime") else found
    return func.json_extract(table.attributes, f'$."{name}"')


def column(db: Session, table: Table, attributes: Mapping[str, Attribute], name: str) -> Any:
    """A column or an attribute by its name. Raises KeyError."""
    if name in TEXTS: return getattr(table, name)
    if name == "revision_end" and table is MetricResource: return cast(None, Float)
    if name in INSTANTS: return getattr(table, name)
    return attribute(db, table, name, attributes[name]["type"])


def condition(db: Session, table: Table, attributes: Mapping[str, Attribute], tree: Mapping[str, Any], made_by: str) -> ColumnElement[bool]:
    """The SQL of a checked query; `made_by`: who asks, since names of resources are their own. Raises Malformed."""
    if not tree: return true()
    word, inner = next(iter(tree.items()))
    if word in ("and", "or"):
        return (and_ if word == "and" else or_)(*(condition(db, table, attributes, part, made_by) for part in inner))
    if word == "not": return not_(condition(db, table, attributes, inner, made_by))
    name, value = next(iter(inner.items()))
    if name == "lifespan": return _lifespan(table, word, value)
    if name in ("created_by_user_id", "created_by_project_id"): return _maker(table, word, name, value)
    try: found = column(db, table, attributes, name)
    except KeyError:
        what = f"The attribute {name} does not exist"
        raise errors.Malformed(reason=what, description=what) from None
    kind = "datetime" if name in INSTANTS else "string" if name in TEXTS else attributes[name]["type"]
    return _compared(db, found, kind, word, name, value, made_by)


def _compared(db: Session, found: Any, kind: str, word: str, name: str, value: Any, made_by: str) -> ColumnElement[bool]:
    def taken(one: Any) -> Any:
        if one is None: return None
        try: return _taken(db, kind, name, one, made_by)
        except (ValueError, TypeError):
            raise errors.Malformed(reason=f"Invalid value: `{one}' for attribute `{name}'") from None

    if word == "in": return or_(found.in_([taken(one) for one in value if one is not None]), *([found.is_(None)] if None in value else []))
    if word == "like": return found.like(str(value))  # type: ignore[no-any-return]
    wanted = taken(value)
    if wanted is None: return found.is_(None) if word == "=" else found.is_not(None) if word == "!=" else not_(true())
    if word == "!=": return or_(found.is_(None), found != wanted)
    return ACTS[word](found, wanted)  # type: ignore[no-any-return]


def _taken(db: Session, kind: str, name: str, value: Any, made_by: str) -> Any:
    if kind == "datetime": return timespan.instant(value, clock.now())
    if kind == "number": return float(value)
    if kind == "bool": return str(bool(value)).lower() if db.get_bind().dialect.name == "postgresql" else bool(value)
    return resource_id(value, made_by) if name == "id" else str(value)


def _lifespan(table: Table, word: str, value: Any) -> ColumnElement[bool]:
    try: return ACTS[word](table.ended_at - table.started_at, timespan.length(value))  # type: ignore[no-any-return]
    except (KeyError, ValueError): raise errors.Malformed(reason=f"Invalid value: `{value}' for attribute `lifespan'") from None


def _maker(table: Table, word: str, name: str, value: Any) -> ColumnElement[bool]:
    if word not in ("=", "!=", "like"): raise errors.Malformed(reason=f"Invalid value: `{value}' for attribute `{name}'")
    user = name == "created_by_user_id"
    if word == "like": return table.creator.like(f"{value}:%" if user else f"%:{value}")
    found = table.creator.startswith(f"{value}:", autoescape=True) if user else table.creator.endswith(f":{value}", autoescape=True)
    return not_(found) if word == "!=" else found
