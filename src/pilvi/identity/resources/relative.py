"""How one resource of identity speaks of another without importing it: by name, through the service's manifest.

Source: Identity API v3; every list that hangs below another resource has the same form.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import and_

from pilvi.core.context import Call
from pilvi.core.resource import Resource


def resource(call: Call, name: str) -> Resource:
    """The resource of that name."""
    assert call.application is not None
    return next(each for each in call.application.service.resources if each.name == name)


def find(call: Call, name: str, id: str) -> Any:
    """The row, whoever asks. Raises the NotFound of its kind."""
    assert call.db is not None
    kind = resource(call, name)
    row: Any = call.db.get(kind.table, id)
    if row is None or getattr(row, "gone", False): raise kind.missing(id=id)
    return row


def listed(call: Call, name: str, ids: Any, *, within_domain: bool = False) -> dict[str, Any]:
    """A list of the things with these ids (a select), by name; `within_domain`: a domain's token sees those of its domain."""
    assert call.db is not None and call.request is not None
    kind = resource(call, name)
    table: Any = kind.table
    query = call.db.query(table).where(table.id.in_(ids)).order_by(table.name)
    if within_domain and call.identity.domain_id: query = query.where(table.domain_id == call.identity.domain_id)
    rows = list(query)
    return {kind.plural: kind.render(call, rows), "links": links(call)}


def known_here(name: str) -> Callable[[Call], Any]:
    """`Resource.alive` of what directories have, too: such entries are listed where their domain is asked for, until they are gone."""
    def alive(call: Call) -> Any:
        kind = resource(call, name)
        table: Any = kind.table
        there = table.gone.is_(False)
        at_list = call.request is not None and call.request.path.rstrip("/") == kind.path
        if not at_list or call.identity.domain_id or call.request.one("domain_id"): return there  # type: ignore[union-attr]
        return and_(there, table.local_id.is_(None))

    return alive


def links(call: Call) -> dict[str, Any]:
    """The links of a list that comes whole."""
    assert call.request is not None
    return {"self": call.url(call.request.path), "next": None, "previous": None}


def target(call: Call, **ids: str) -> dict[str, Any]:
    """What policy rules may know of these things: {kind: its id, name and domain}. What does not exist is left out, so that only those who
    may see all of a kind learn that it does not."""
    assert call.db is not None
    found = {}
    for kind, id in ids.items():
        row: Any = call.db.get(resource(call, kind).table, id)
        if row is None: continue
        found[kind] = {"id": row.id, "name": row.name, "domain_id": row.id if kind == "domain" else row.domain_id}
    return found
