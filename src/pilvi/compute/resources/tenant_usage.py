"""How long which servers ran: of one project, and of all.

Source: Compute API, "Usage reports"; microversion 2.40 (paging by servers). The bill of telemetry's rating says the same of a server.
"""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import or_, select

from pilvi.compute.resources.server import Server
from pilvi.core import clock, listing
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule

DEFAULT_SECONDS = 28 * 86400.0
MOST = 1000
UNITS = (("memory_mb", "ram"), ("vcpus", "vcpus"), ("local_gb", "disk"))


class DateInvalid(Invalid):
    """Invalid Date String"""


class StartAfterEnd(Invalid):
    """Invalid start time. The start time cannot occur after the end time."""


def _period(query: dict[str, str]) -> tuple[float, float]:
    try:
        end = clock.parse(query["end"]) if query.get("end") else clock.now()
        begin = clock.parse(query["start"]) if query.get("start") else end - DEFAULT_SECONDS
    except ValueError: raise DateInvalid() from None
    if begin > end: raise StartAfterEnd()
    return begin, end


def _rows(call: Call, query: dict[str, str], project_id: str | None) -> tuple[list[Any], str | None]:
    """The servers that ran in the period, and the marker of the next page."""
    assert call.db is not None
    begin, end = _period(query)
    table = Server.__table__
    wanted = [table.c.launched_at < end, or_(table.c.deleted_at.is_(None), table.c.deleted_at > begin)]
    if project_id is not None: wanted.append(table.c.project_id == project_id)
    statement = select(table).where(*wanted).order_by(table.c.id)
    if call.version < (2, 40): return list(call.db.execute(statement)), None
    try: limit = min(int(query.get("limit", MOST)) or MOST, MOST)
    except ValueError: raise listing.LimitInvalid(text=query["limit"][:40]) from None
    if limit < 0: raise listing.LimitInvalid(text=query["limit"][:40])
    if "marker" in query:
        if call.db.get(Server, query["marker"]) is None: raise listing.MarkerUnknown(marker=query["marker"][:80])
        statement = statement.where(table.c.id > query["marker"])
    found = list(call.db.execute(statement.limit(limit + 1)))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def _usage(project_id: str, rows: list[Any], query: dict[str, str], *, detailed: bool) -> dict[str, Any]:
    begin, end = _period(query)
    sums = dict.fromkeys(("total_memory_mb_usage", "total_vcpus_usage", "total_local_gb_usage", "total_hours"), 0.0)
    for row in rows:
        hours = _hours(row, begin, end)
        sums["total_hours"] += hours
        for name, key in UNITS: sums[f"total_{name}_usage"] += hours * row.flavor[key]
    start, stop = (clock.iso(at, fraction=True, zone="") for at in (begin, end))
    body = {"tenant_id": project_id, "start": start, "stop": stop, **sums}
    return body | {"server_usages": [_server(row, begin, end) for row in rows]} if detailed else body


def _hours(row: Any, begin: float, end: float) -> float:
    return max(0.0, float(min(row.deleted_at or end, end) - max(row.launched_at, begin))) / 3600


def _server(row: Any, begin: float, end: float) -> dict[str, Any]:
    return {"instance_id": row.id, "name": row.name, "hours": _hours(row, begin, end), "flavor": row.flavor["name"],
            **{name: row.flavor[key] for name, key in UNITS}, "tenant_id": row.project_id,
            "state": "terminated" if row.deleted_at else row.state, "uptime": int((row.deleted_at or end) - row.launched_at),
            "started_at": clock.iso(row.launched_at, fraction=True, zone=""),
            "ended_at": clock.iso(row.deleted_at, fraction=True, zone="") if row.deleted_at else None}


def _links(call: Call, query: dict[str, str], marker: str | None, name: str) -> dict[str, Any]:
    assert call.request is not None
    if marker is None: return {}
    rest = {key: value for key, value in query.items() if key != "marker"}
    return {name: [{"rel": "next", "href": f"{call.url(call.request.path)}?{urlencode({**rest, 'marker': marker})}"}]}


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /os-simple-tenant-usage/{project}"""
    assert call.request is not None
    if id != call.project_id and not call.is_admin: raise Forbidden(action=_RULE + "show")
    query = dict(call.request.query)
    rows, marker = _rows(call, query, id)
    return {"tenant_usage": _usage(id, rows, query, detailed=True) if rows else {}} | _links(call, query, marker, "tenant_usage_links")


def list_usages(call: Call) -> dict[str, Any]:
    """GET /os-simple-tenant-usage: of every project that had a server; ?detailed=1 with the servers"""
    assert call.request is not None
    query = dict(call.request.query)
    rows, marker = _rows(call, query, None)
    apart: dict[str, list[Any]] = {}
    for row in rows: apart.setdefault(row.project_id, []).append(row)
    usages = [_usage(project, some, query, detailed=query.get("detailed") == "1") for project, some in apart.items()]
    return {"tenant_usages": usages} | _links(call, query, marker, "tenant_usages_links")


_RULE = "os_compute_api:os-simple-tenant-usage:"
RULES = {_RULE + "show": Rule("@"), _RULE + "list": Rule("role:admin")}
ROUTES = [
    Route("/v2.1/os-simple-tenant-usage", "GET", list_usages, _RULE + "list", transaction="read"),
    Route("/v2.1/os-simple-tenant-usage/{id}", "GET", show, _RULE + "show", transaction="read"),
]
