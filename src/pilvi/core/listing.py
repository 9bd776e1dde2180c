"""Lists: filters, sorting, markers, fields and page links, as each API family has them.

A list is a column select (rows, not objects: 4× cheaper) in the order of the sort keys, ended by the key column: so pages are disjoint.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, literal, or_, select

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.wire import Field, truth

if TYPE_CHECKING:
    from pilvi.core.resource import Resource

CONTROL = {"limit", "marker", "sort_key", "sort_dir", "sort", "fields", "all_tenants", "all_projects", "page_reverse", "with_count",
           "name~"}
"""Query parameters that are no filters."""
Filter = Callable[[Call, list[str]], ColumnElement[bool] | None]


class LimitInvalid(Invalid):
    """Invalid input for query parameters limit. Value: {text}. '{text}' is not a positive integer."""


class MarkerUnknown(Invalid):
    """marker [{marker}] not found"""


class SortInvalid(Invalid):
    """Sort key '{key}' is not supported; use one of {known}."""


class FilterInvalid(Invalid):
    """Invalid input for query parameters {name}. Value: {text}. {reason}"""


@dataclass(slots=True)
class Page:
    """What a list request asks for."""
    limit: int | None
    marker: str | None
    sort: list[tuple[str, bool]]
    """(column, descending)"""
    reverse: bool
    fields: set[str] | None


def page_of(call: Call, resource: Resource) -> Page:
    """Reads limit, marker, sort and fields from the query."""
    assert call.request is not None
    pairs = call.request.query
    values = dict(pairs)
    return Page(_limit(values.get("limit"), resource.dialect.page_limit), values.get("marker"),
                _sort(call, pairs, resource), truth_of(values.get("page_reverse")), {v for k, v in pairs if k == "fields"} or None)


def truth_of(text: str | None) -> bool:
    """A flag in a query; anything but a word for true is false."""
    try: return bool(truth(text)) if text is not None else False
    except ValueError: return False


def _limit(text: str | None, most: int | None) -> int | None:
    if text is None: return most
    try: asked = int(text)
    except ValueError: raise LimitInvalid(text=text[:40]) from None
    if asked < 0 or len(text) > 12: raise LimitInvalid(text=text[:40])
    return min(asked or most, most) if most is not None else asked or None


def _told(call: Call, rules: Field) -> bool:
    """May the caller learn the attribute? By what is hidden nobody may sort or filter: the order tells it."""
    return rules.show is True or (rules.show == "admin" and call.is_admin)


def _sort(call: Call, pairs: list[tuple[str, str]], resource: Resource) -> list[tuple[str, bool]]:
    keys = [v for k, v in pairs if k == "sort_key"]
    directions = [v for k, v in pairs if k == "sort_dir"]
    if combined := [v for k, v in pairs if k == "sort" for v in v.split(",")]:
        keys = [entry.partition(":")[0] for entry in combined]
        directions = [entry.partition(":")[2] or "asc" for entry in combined]
    if not keys: return resource.default_sort
    known = {name: column for name, column in resource.wire_names.items() if _told(call, resource.fields[column])}
    known |= {column: column for column in known.values()}  # Nova sorts by created_at what it shows as created
    chosen = []
    for index, key in enumerate(keys):
        column = known.get(key.strip())
        if column is None: raise SortInvalid(key=key[:60], known=", ".join(sorted(known)))
        direction = directions[index] if index < len(directions) else (directions[-1] if directions else "asc")
        if direction not in ("asc", "desc"): raise FilterInvalid(name="sort_dir", text=direction[:40], reason="Use asc or desc.")
        chosen.append((column, direction == "desc"))
    return chosen


def rows(call: Call, resource: Resource, page: Page, condition: list[ColumnElement[bool]]) -> tuple[list[Any], bool]:
    """The page's rows, and whether more follow."""
    assert call.db is not None
    table = resource.table.__table__
    key = table.c[resource.key]
    order = [(table.c[column], descending != page.reverse) for column, descending in page.sort if column != resource.key]
    order.append((key, next((d for c, d in page.sort if c == resource.key), False) != page.reverse))
    statement: Select[Any] = select(table).where(*condition)
    if page.marker is not None:
        edge = call.db.execute(select(table).where(key == page.marker, *resource.scope(call))).first()
        if edge is None: raise MarkerUnknown(marker=page.marker[:80])
        statement = statement.where(_after(order, edge))
    statement = statement.order_by(*(c.desc().nulls_last() if descending else c.asc().nulls_first() for c, descending in order))
    if page.limit is not None: statement = statement.limit(page.limit + 1)
    found = list(call.db.execute(statement))
    more = page.limit is not None and len(found) > page.limit
    found = found[: page.limit] if page.limit is not None else found
    return (found[::-1] if page.reverse else found), more


def _after(order: list[tuple[Any, bool]], edge: Any) -> ColumnElement[bool]:
    """Rows behind the edge in this order (NULL comes before everything, on both databases)."""
    alternatives = []
    for index, (column, descending) in enumerate(order):
        value = getattr(edge, column.key)
        equal = [c == getattr(edge, c.key) if getattr(edge, c.key) is not None else c.is_(None) for c, _ in order[:index]]
        if value is None:
            if descending: continue
            alternatives.append(and_(*equal, column.is_not(None)))
            continue
        value = literal(value, column.type)  # bare, True and False could not be compared
        alternatives.append(and_(*equal, or_(column < value, column.is_(None)) if descending else column > value))
    return or_(*alternatives)


def filters(call: Call, resource: Resource) -> list[ColumnElement[bool]]:
    """The conditions that the query's filters mean. Unknown parameters are left alone, as upstream does."""
    assert call.request is not None
    wanted: dict[str, list[str]] = {}
    for name, value in call.request.query:
        if name not in CONTROL: wanted.setdefault(name, []).append(value)
    found = []
    for name, values in wanted.items():
        if name in resource.filters: condition = resource.filters[name](call, values)
        else: condition = _plain(call, resource, name, values)
        if condition is not None: found.append(condition)
    return found


def _plain(call: Call, resource: Resource, name: str, values: list[str]) -> ColumnElement[bool] | None:
    column = resource.wire_names.get(name)
    if column is None: return None
    rules: Field = resource.fields[column]
    if not rules.filter or not _told(call, rules) or not rules.lives(call.version): return None
    try: asked = [rules.kind.query(value) for value in values]
    except (ValueError, TypeError) as failure: raise FilterInvalid(name=name, text=values[0][:60], reason=str(failure)) from None
    target = resource.table.__table__.c[column]
    if asked == [""] and rules.nullable: return or_(target == "", target.is_(None))
    return target == asked[0] if len(asked) == 1 else target.in_(asked)


def links(call: Call, resource: Resource, page: Page, found: list[Any], more: bool) -> dict[str, Any]:
    """The page links of the family, to add to the body."""
    assert call.request is not None
    family = resource.dialect.paging
    here = call.url(call.request.path)
    if family == "links_object":
        return {"links": {"next": _next(call, page, found, resource, here) if more else None,
                          "self": here + (f"?{call.request.query_string}" if call.request.query_string else ""), "previous": None}}
    if family == "links_list":
        given: list[dict[str, str]] = []
        asked = any(k == "limit" for k, _ in call.request.query) or resource.dialect.page_limit is not None
        if resource.dialect.name == "neutron" and asked and page.limit: given = _both_ways(call, page, found, resource, here)
        elif more and asked: given.append({"rel": "next", "href": _next(call, page, found, resource, here)})
        return {f"{resource.plural}_links": given} if given else {}
    if family == "next":
        first = call.request.path + (f"?{_without_marker(call)}" if _without_marker(call) else "")
        extra = {"first": first, "schema": resource.schema_path}
        if more: extra["next"] = _next(call, page, found, resource, call.request.path)
        return extra
    return {}


def _both_ways(call: Call, page: Page, found: list[Any], resource: Resource, here: str) -> list[dict[str, str]]:
    """Neutron's links: a full page has both, any page the one that leads back; whether something follows it does not look."""
    full = page.limit is not None and len(found) >= page.limit
    given = []
    if full or page.reverse: given.append({"rel": "next", "href": _next(call, page, found, resource, here)})
    if full or not page.reverse:
        given.append({"rel": "previous", "href": _next(call, page, found[:1], resource, here, page_reverse="True")})
    return given


def _without_marker(call: Call) -> str:
    assert call.request is not None
    return urlencode([(k, v) for k, v in call.request.query if k != "marker"])


def _next(call: Call, page: Page, found: list[Any], resource: Resource, here: str, **more: str) -> str:
    assert call.request is not None
    kept = [(k, v) for k, v in call.request.query if k not in ("marker", "page_reverse")]
    if page.limit is not None and not any(k == "limit" for k, _ in kept): kept.append(("limit", str(page.limit)))
    marker = [("marker", getattr(found[-1], resource.key))] if found else []
    return f"{here}?{urlencode([*kept, *marker, *more.items()])}"
