"""Lists and searches of alarms and of their history.

Source: Alarming API v2 (Aodh), "Query", "Complex query", "Pagination".
"""
from __future__ import annotations

import re
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, not_, or_, select

from pilvi.core import clock, listing
from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.faults import Schema
from pilvi.core.resource import Resource
from pilvi.core.wire import truth
from pilvi.telemetry import errors

INSTANTS, FLAGS = {"timestamp", "state_timestamp", "evaluate_timestamp"}, {"enabled", "repeat_actions"}
OPERATIONS: dict[str, Any] = {
    "=": lambda column, value: column == value, "!=": lambda column, value: column != value, "<": lambda column, value: column < value,
    ">": lambda column, value: column > value, "<=": lambda column, value: column <= value, ">=": lambda column, value: column >= value,
    "=<": lambda column, value: column <= value, "=>": lambda column, value: column >= value,
    "=~": lambda column, value: column.like(_pattern(value), escape="\\"), "in": lambda column, value: column.in_(value)}
DEEPEST, MOST_TERMS = 10, 100
BODY = Schema({"type": "object", "additionalProperties": False, "properties": {
    "filter": {"type": ["string", "null"], "maxLength": 65536}, "orderby": {"type": ["string", "null"], "maxLength": 4096},
    "limit": {"type": ["integer", "null"], "maximum": 2**31 - 1}}})


def simple(call: Call, allowed: set[str], operators: tuple[str, ...] = ("eq",)) -> list[tuple[str, str, str]]:
    """The (field, operator, value) triples of ?q.field=…&q.op=…&q.value=…. Raises Invalid."""
    assert call.request is not None
    pairs = call.request.query
    fields, values = ([value for name, value in pairs if name == f"q.{word}"] for word in ("field", "value"))
    given = [value or "eq" for name, value in pairs if name == "q.op"]
    if len(fields) != len(values): raise Invalid("Each q.field needs a q.value.")
    for field in fields:
        if field not in allowed:
            raise Invalid(f"Invalid input for field/attribute field. Value: '{field[:60]}'. only fields {sorted(allowed)} are allowed")
    operations = given + ["eq"] * (len(fields) - len(given))
    for operation in operations[:len(fields)]:
        if operation not in operators:
            raise Invalid(f"Invalid input for field/attribute op. Value: '{operation[:40]}'. only operations {list(operators)} are allowed")
    return list(zip(fields, operations, values, strict=False))


def page(call: Call, resource: Resource, conditions: list[ColumnElement[bool]], sorts: set[str]) -> list[Any]:
    """The rows of a list, as ?sort=KEY:DIRECTION&limit=&marker= say."""
    assert call.request is not None
    order = []
    for text in (value for name, value in call.request.query if name == "sort"):
        key, _, direction = text.partition(":")
        if key not in sorts or direction not in ("", "asc", "desc"):
            raise Invalid(f"Invalid input for field/attribute sort. Value: '{text[:60]}'. the sort parameter should be a pair of sort key "
                          f"and sort dir combined with ':', or only sort key specified and sort dir will be default 'asc', the supported "
                          f"sort keys are: {tuple(sorted(sorts))}")
        order.append((resource.wire_names[key], direction == "desc"))
    limit = call.request.one("limit")
    try: most = min(int(limit), 1000) if limit else 1000
    except ValueError: raise listing.LimitInvalid(text=(limit or "")[:40]) from None
    if most <= 0: raise Invalid(f"Invalid input for field/attribute limit. Value: '{most}'. it should be a positive integer.")
    asked = listing.Page(most, call.request.one("marker"), order or resource.default_sort, False, None)
    return listing.rows(call, resource, asked, conditions)[0]


def converted(field: str, value: Any) -> Any:
    """A value as the column holds it. Raises Invalid."""
    try:
        if field in INSTANTS: return clock.parse(str(value))
        if field in FLAGS: return truth(value)
        return str(value)
    except (ValueError, TypeError):
        raise Invalid(f"Failed to parse the {'timestamp' if field in INSTANTS else field} value {str(value)[:60]}") from None


def search(call: Call, resource: Resource, body: Any, visible: str) -> list[Any]:
    """The rows that a complex query finds. Only an administrator sees those whose column `visible` is not its own project."""
    assert call.db is not None
    BODY.check(body if body is not None else {})
    given = {name: value for name, value in (body or {}).items() if value is not None}
    terms = [MOST_TERMS]
    conditions = []
    if given.get("filter"): conditions.append(_condition(call, resource, _json("Filter", given["filter"]), visible, DEEPEST, terms))
    table = resource.table.__table__
    if not call.is_admin: conditions.append(table.c[visible] == call.project_id)
    if given.get("limit", 1) <= 0: raise Invalid("Limit should be positive")
    statement = select(table).where(*conditions).order_by(*_order(resource, given.get("orderby")))
    return list(call.db.execute(statement.limit(min(given.get("limit", 1000), 1000))))


def _json(what: str, text: str) -> Any:
    try: return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as failure: raise Invalid(f"{what} expression not valid: {failure}") from None


def _column(resource: Resource, name: str) -> Any:
    names = {**resource.wire_names, "user": "user_id", "project": "project_id"}
    if name not in names: raise Invalid(f"Filter expression not valid: '{name[:60]}' is no field")
    return resource.table.__table__.c[names[name]]


def _condition(call: Call, resource: Resource, tree: Any, visible: str, depth: int, terms: list[int]) -> ColumnElement[bool]:
    terms[0] -= 1
    if not isinstance(tree, dict) or len(tree) != 1 or depth == 0 or terms[0] < 0:
        raise Invalid(f"Filter expression not valid: {str(tree)[:100]} is not an operator with its operands")
    word, inner = next(iter(tree.items()))
    word = word.lower()
    if word in ("and", "or"):
        if not isinstance(inner, list) or len(inner) < 2: raise Invalid(f"Filter expression not valid: '{word}' takes two operands or more")
        parts = [_condition(call, resource, part, visible, depth - 1, terms) for part in inner]
        return and_(*parts) if word == "and" else or_(*parts)
    if word == "not": return not_(_condition(call, resource, inner, visible, depth - 1, terms))
    if word not in OPERATIONS or not isinstance(inner, dict) or len(inner) != 1:
        raise Invalid(f"Filter expression not valid: '{word[:40]}' is no operator on a field")
    field, value = next(iter(inner.items()))
    column = _column(resource, field)
    if word == "in":
        if not isinstance(value, list) or not value: raise Invalid("Filter expression not valid: 'in' takes a list")
        value = [converted(column.key, one) for one in value]
    elif isinstance(value, str | int | float | bool): value = str(value) if word == "=~" else converted(column.key, value)
    else: raise Invalid(f"Filter expression not valid: {str(value)[:60]} is no value")
    if column.key == visible and not call.is_admin and value != call.project_id: raise errors.ProjectForbidden(id=str(value)[:64])
    condition: ColumnElement[bool] = OPERATIONS[word](column, value)
    return condition


def _pattern(text: str) -> str:
    """A regular expression as a pattern of LIKE. Raises Invalid for one that is more than text, . and .* between ^ and $: what runs a
    stranger's expression over a table can be kept busy for ever."""
    anchored = text.startswith("^"), text.endswith("$")
    inner = text.removeprefix("^").removesuffix("$")
    pieces = re.split(r"(\.\*|\.|\\.)", inner)
    if any(set(piece) & set("^$*+?{}[]|()\\") for piece in pieces[::2]):
        raise Invalid("Filter expression not valid: of regular expressions only text, '.', '.*', '^' and '$' are served")
    like = "".join({".*": "%", ".": "_"}.get(piece, _literal(piece)) for piece in pieces)
    return f"{'' if anchored[0] else '%'}{like}{'' if anchored[1] else '%'}"


def _literal(piece: str) -> str:
    plain = piece[1:] if piece.startswith("\\") and len(piece) == 2 else piece
    return re.sub(r"([\\%_])", r"\\\1", plain)


def _order(resource: Resource, text: str | None) -> list[Any]:
    table = resource.table.__table__
    if not text: return [table.c[column].desc() if descending else table.c[column] for column, descending in resource.default_sort]
    made = []
    given = _json("Order-by", text)
    for one in given if isinstance(given, list) else [None]:
        if not isinstance(one, dict) or len(one) != 1: raise Invalid("Order-by expression not valid: use a list of {field: direction}")
        name, direction = next(iter(one.items()))
        if str(direction).lower() not in ("asc", "desc"): raise Invalid("Order-by expression not valid: use asc or desc")
        column = _column(resource, name)
        made.append(column.desc() if direction.lower() == "desc" else column.asc())
    return made
