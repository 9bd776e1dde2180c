"""What a list of images may be narrowed by: any attribute, ranges, sets, tags, and additional properties of any name.

Source: Image service API v2, "List images": filters, "in:" and time comparison operators.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, and_, func

from pilvi.core import clock
from pilvi.core.errors import Invalid
from pilvi.core.listing import FilterInvalid
from pilvi.core.wire import truth
from pilvi.image.image.states import SHOWN

if TYPE_CHECKING:
    from pilvi.core.resource import Resource

NOT_FILTERS = {"limit", "marker", "sort_key", "sort_dir", "sort", "visibility", "member_status", "os_hidden"}
SETS = {"container_format", "disk_format", "id", "name", "status"}
"""Attributes that take in:A,B."""
COMPARISONS: dict[str, Callable[[Any, float], ColumnElement[bool]]] = {
    "eq": lambda column, at: column.between(at, at + 1), "neq": lambda column, at: ~column.between(at, at + 1),
    "gt": lambda column, at: column >= at + 1, "gte": lambda column, at: column >= at,
    "lt": lambda column, at: column < at, "lte": lambda column, at: column < at + 1}


class VisibilityInvalid(Invalid):
    """Invalid visibility value: {value}"""


class MemberStatusInvalid(Invalid):
    """Invalid status: {value}"""


class SortMixed(Invalid):
    """Old and new sorting syntax cannot be combined"""


def check(given: dict[str, str]) -> None:
    """Raises Invalid for values that mean nothing."""
    if given.get("visibility") not in (None, "", "community", "public", "private", "shared", "all"):
        raise VisibilityInvalid(value=given["visibility"][:60])
    if given.get("member_status", "all") not in ("pending", "accepted", "rejected", "all"):
        raise MemberStatusInvalid(value=given["member_status"][:60])
    if "sort" in given and ("sort_key" in given or "sort_dir" in given): raise SortMixed()
    if "changes-since" in given: raise Invalid('The "changes-since" filter is no longer available on v2.')


def wire(column: str) -> str:
    """A column's name outside."""
    return "status" if column == "state" else column


def conditions(table: Any, resource: Resource, query: list[tuple[str, str]]) -> list[ColumnElement[bool]]:
    """The conditions that the query's filters mean. Raises FilterInvalid."""
    found = []
    for name, value in query:
        if name in NOT_FILTERS: continue
        try: found.append(_condition(table, resource, name, value))
        except (ValueError, TypeError) as failure: raise FilterInvalid(name=name[:60], text=value[:60], reason=str(failure)) from None
    return found


def _condition(table: Any, resource: Resource, name: str, value: str) -> ColumnElement[bool]:
    if name == "tag": return _holds(table.tags, value)
    if name == "size_min": return table.size >= int(value)  # type: ignore[no-any-return]
    if name == "size_max": return table.size <= int(value)  # type: ignore[no-any-return]
    if name in ("created_at", "updated_at"): return _compared(getattr(table, name), value)
    column = resource.wire_names.get(name)
    if column is None or name == "tags": return _holds(table.properties, value, name)
    values = value[3:].split(",") if name in SETS and value.startswith("in:") else [value]
    values = [one[1:-1] if len(one) > 1 and one[0] == one[-1] == '"' else one for one in values]
    if name == "status": return _of_status(table, values)
    kind = resource.fields[column].kind
    asked = [truth(one) if name == "protected" else kind.query(one) for one in values]
    return getattr(table, column).in_(asked)  # type: ignore[no-any-return]


def _of_status(table: Any, values: list[str]) -> ColumnElement[bool]:
    shown = func.coalesce(func.nullif(table.busy, ""), table.state)
    words = {*values, *(busy for busy, word in SHOWN.items() if word in values)}
    return shown.in_(sorted(words))


def _holds(column: Any, value: str, key: str | None = None) -> ColumnElement[bool]:
    """Does the stored JSON hold the string, or the pair of key and string? Both are quoted, so that no part of another can be meant;
    `replace` compares case on every database, which LIKE does not."""
    sought = msgspec.json.encode(value).decode()
    if key is not None: sought = f"{msgspec.json.encode(key).decode()}:{sought}"
    return and_(column.is_not(None), func.replace(column, sought, "") != column)


def _compared(column: Any, value: str) -> ColumnElement[bool]:
    """gte:2026-01-01T00:00:00Z; no word means eq. Instants are compared by the second, which is what is shown."""
    word, _, rest = value.partition(":")
    if word not in COMPARISONS: word, rest = "eq", value
    return COMPARISONS[word](column, float(int(clock.parse(rest))))
