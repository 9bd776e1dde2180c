"""From rows to bodies: the columns that a microversion shows to a caller, instants as text, aliases and links as the family writes them."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pilvi.core.context import Call

if TYPE_CHECKING:
    from pilvi.core.resource import Resource


def bodies_of(resource: Resource, call: Call, rows: list[Any]) -> list[dict[str, Any]]:
    """A body for each row."""
    names, values, instants = _shown(resource, call.version, call.is_admin)
    bodies = [dict(zip(names, values(row), strict=True)) for row in rows]
    for name in instants:
        for body in bodies:
            if body[name] is not None: body[name] = resource.dialect.time(body[name])
    for alias, target in resource.dialect.aliases.items():
        for body in bodies:
            if target in body: body[alias] = body[target]
    _link(resource, call, rows, bodies)
    return bodies


@lru_cache(4096)
def _shown(resource: Resource, version: tuple[int, int], admin: bool) -> tuple[list[str], Callable[[Any], tuple[Any, ...]], list[str]]:
    """(wire names, the getter of their values from a row, the names of those that are instants)"""
    shown = {column: rules for column, rules in resource.fields.items()
             if rules.lives(version) and (rules.show is True or (rules.show == "admin" and admin))}
    columns = list(shown)
    first = attrgetter(columns[0])
    values = attrgetter(*columns) if len(columns) > 1 else lambda row: (first(row),)
    return ([rules.wire or column for column, rules in shown.items()], values,
            [rules.wire or column for column, rules in shown.items() if rules.kind.instant])


def _link(resource: Resource, call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    if resource.dialect.self_links == "list":
        base = call.request.base if call.request else ""
        for row, body in zip(rows, bodies, strict=True):
            tail = f"{resource.path}/{getattr(row, resource.key)}"
            body["links"] = [{"rel": "self", "href": base + tail}, {"rel": "bookmark", "href": base + "/" + tail.split("/", 2)[2]}]
    elif resource.dialect.self_links == "object":
        base = call.url(resource.path) + "/"
        for row, body in zip(rows, bodies, strict=True): body["links"] = {"self": base + getattr(row, resource.key)}
