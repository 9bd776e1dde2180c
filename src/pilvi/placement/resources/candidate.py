"""Allocation candidates, and the list of providers: searches over a snapshot that each process keeps and brings up to date before it looks.

Nothing but the number of the last change is read from the database when nothing has changed (measured: 10,000 hosts, 1,000 asked for, in
benchmarks/placement.py). A claim is checked against the database itself, so a snapshot can never cause too much to be given.

Source: Placement API, "Allocation candidates"; microversions 1.10 to 1.39.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import msgspec
from sqlalchemy import func, select

from pilvi.core.context import Call
from pilvi.core.http.app import Application
from pilvi.core.http.routes import Route, route
from pilvi.core.policy import Rule
from pilvi.placement import errors
from pilvi.placement.candidates import request as asking
from pilvi.placement.candidates.merge import Candidate
from pilvi.placement.candidates.search import matching, search
from pilvi.placement.candidates.snapshot import Provider, Snapshot, Stock
from pilvi.placement.resources import gate, inventory, provider, resource_class, trait

RULES = {"placement:allocation_candidates:list": Rule(gate.ADMIN_OR_SERVICE)}
T = TypeVar("T")
PART = 500
"""How many providers' inventories one statement asks for; with more changed ones all are read."""


def keep(application: Application) -> None:
    """Begins with an empty snapshot."""
    application.state |= {"snapshot": Snapshot(), "snapshot_lock": Lock()}


def look(call: Call, function: Callable[[Snapshot], T]) -> T:
    """What the function finds in the snapshot as of now; it must not keep the snapshot."""
    assert call.application is not None
    state = call.application.state
    with state["snapshot_lock"]:
        with call.application.database.read() as db: refresh(db, state["snapshot"])
        return function(state["snapshot"])


def refresh(db: Any, snapshot: Snapshot) -> None:
    """Reads what has changed since."""
    number = gate.last(db)
    if number == snapshot.number: return
    rows = db.execute(select(provider.TABLE).where(provider.TABLE.c.changed > snapshot.number)).all()
    stocks: dict[str, dict[str, Stock]] = {}
    wanted = select(inventory.TABLE)
    if len(rows) <= PART: wanted = wanted.where(inventory.TABLE.c.provider_id.in_([row.id for row in rows]))
    for row in db.execute(wanted) if rows else ():
        capacity = (row.total - row.reserved) * row.allocation_ratio
        stocks.setdefault(row.provider_id, {})[row.resource_class] = Stock(
            capacity, row.used, capacity - row.used, row.min_unit, row.max_unit, row.step_size)
    snapshot.replace([Provider(row.id, row.name, row.generation, row.parent_id, row.root_id, row.updated_at, frozenset(row.traits),
                               frozenset(row.aggregates), stocks.get(row.id, {})) for row in rows])
    ids = set(db.execute(select(provider.TABLE.c.id)).scalars()) if _counts_differ(db, snapshot) else None
    if ids is not None: snapshot.retain(ids)
    snapshot.number = number


def _counts_differ(db: Any, snapshot: Snapshot) -> bool:
    return bool(db.execute(select(func.count()).select_from(provider.TABLE)).scalar_one() != len(snapshot.providers))


def list_candidates(call: Call) -> dict[str, Any]:
    """GET of candidates: allocation requests that a client can send back as they are, and a summary of the providers in them."""
    assert call.request is not None and call.application is not None
    asked = asking.parse(call.request.query, call.version)
    with call.application.database.read() as call.db: _check_names(call, asked)
    call.db = None
    gate.dated(call)
    return look(call, lambda snapshot: _answer(call, snapshot, asked))


def _check_names(call: Call, asked: asking.Request) -> None:
    try: resource_class.check(call, asked.classes())
    except errors.ClassUnknown as failure:
        raise errors.QueryBadValue(reason=f"Invalid resource class in resources parameter: {failure}") from None
    if missing := trait.unknown(call, asked.traits()): raise errors.TraitUnknown(names=", ".join(missing))


def _answer(call: Call, snapshot: Snapshot, asked: asking.Request) -> dict[str, Any]:
    start = random.randrange(1 << 30) if asked.limit is not None else 0
    found = search(snapshot, asked, start)
    return {"allocation_requests": [_allocation_request(call, one) for one in found],
            "provider_summaries": _summaries(call, snapshot, asked, found)}


def _allocation_request(call: Call, one: Candidate) -> dict[str, Any]:
    if call.version < (1, 12):
        return {"allocations": [{"resource_provider": {"uuid": id}, "resources": amounts} for id, amounts in one.allocations]}
    body: dict[str, Any] = {"allocations": {id: {"resources": amounts} for id, amounts in one.allocations}}
    if call.version >= (1, 34): body["mappings"] = one.mappings
    return body


def _summaries(call: Call, snapshot: Snapshot, asked: asking.Request, found: list[Candidate]) -> dict[str, msgspec.Raw]:
    """Since 1.27 with all classes, since 1.29 of all providers in the trees concerned."""
    ids = {id: None for one in found for id, _ in one.allocations}
    if call.version >= (1, 29):
        ids = {id: None for named in ids for id in snapshot.trees[snapshot.providers[named].root_id]}
    classes = None if call.version >= (1, 27) else frozenset(asked.classes())
    return {id: _summary(call.version, snapshot.providers[id], classes) for id in ids}


def _summary(version: tuple[int, int], one: Provider, classes: frozenset[str] | None) -> msgspec.Raw:
    key = (version >= (1, 17), version >= (1, 29), classes)
    if key not in one.rendered:
        body: dict[str, Any] = {"resources": {name: {"capacity": int(stock.capacity), "used": stock.used}
                                              for name, stock in one.stocks.items() if classes is None or name in classes}}
        if version >= (1, 17): body["traits"] = sorted(one.traits)
        if version >= (1, 29): body |= {"parent_provider_uuid": one.parent_id, "root_provider_uuid": one.root_id}
        one.rendered[key] = msgspec.Raw(msgspec.json.encode(body))
    return one.rendered[key]  # type: ignore[no-any-return]


SINCE = {"name": (1, 0), "uuid": (1, 0), "member_of": (1, 3), "resources": (1, 4), "in_tree": (1, 14), "required": (1, 18)}


def list_providers(call: Call) -> dict[str, Any]:
    """GET of providers, by name, uuid, aggregates, free resources, tree and traits."""
    assert call.request is not None and call.application is not None
    pairs = call.request.query
    for key, _ in pairs:
        if key not in SINCE or call.version < SINCE[key]:
            raise errors.QueryInvalid(reason=f"Additional properties are not allowed ('{key[:80]}' was unexpected)")
    for key in {key for key, _ in pairs} - {"member_of", "required"}:
        if sum(name == key for name, _ in pairs) > 1 and call.version >= (1, 18): raise errors.QueryTwice(name=key)
    group = asking.group(pairs, "", call.version)
    clashes = [name for names in group.required for name in names if names <= group.forbidden]
    if clashes: raise errors.QueryBadValue(reason=f"Conflicting required and forbidden traits found: {', '.join(sorted(clashes))}")
    name, id = call.request.one("name"), call.request.one("uuid")
    if id is not None: id = _id(id)
    with call.application.database.read() as call.db: _check_names(call, asking.Request([group]))
    call.db = None

    def find(snapshot: Snapshot) -> list[dict[str, Any]]:
        return [provider.render(call, one) for one in matching(snapshot, group, name) if id is None or one.id == id]

    gate.dated(call)
    return {"resource_providers": look(call, find)}


def _id(text: str) -> str:
    try: return asking.tree(text)
    except errors.QueryInvalid: raise errors.QueryInvalid(reason=f"'{text[:80]}' is not a 'uuid'") from None


ROUTES = [
    route("/allocation_candidates", "GET", list_candidates, "placement:allocation_candidates:list", since="1.10"),
    Route("/resource_providers", "GET", list_providers, "placement:resource_providers:list"),
]
