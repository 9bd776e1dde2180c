"""The read calls of CloudKitty over the same bills, for its clients.

Source: CloudKitty API v1, "Report" and "Storage"; v2, "Summary" and "Dataframes". A metric type here is a kind and its unit
("server.vcpu"); a quantity is in unit-hours.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry.rating import bill
from pilvi.telemetry.rating.period import LONGEST_SECONDS, Period, month_of
from pilvi.telemetry.resources import invoice, usage

DAY = 86400.0
ATTRIBUTES = ("flavor", "state", "type")
GROUPS = ("type", "project_id", "id", "name", *ATTRIBUTES)
TIMES = ("time", "time-d", "time-m", "time-y")
Row = tuple[str, Period, bill.Line]
"""(project, the part of the period, the line)"""


def _one(call: Call, *names: str) -> str | None:
    assert call.request is not None
    return next((value for name in names if (value := call.request.one(name))), None)


def _period(call: Call) -> Period:
    now = clock.now()
    today = datetime.fromtimestamp(now, UTC)
    first, last = month_of(today.year, today.month)
    try:
        begin, end = (clock.parse(text) if (text := _one(call, name)) else None for name in ("begin", "end"))
    except ValueError as failure: raise Invalid(f"The period is not valid: {failure}") from None
    period = Period(first if begin is None else begin, last if end is None else end, now)
    if not 0 < period.end - period.begin <= LONGEST_SECONDS: raise Invalid("The period is empty, or longer than 400 days.")
    return period


def _project(call: Call, asked: str | None, *, every: bool) -> str | None:
    """Whose bill: an administrator may ask for one project's or (None) everybody's; others get their own. Raises NotFound, Forbidden."""
    if call.is_admin: return asked if asked or every else call.project_id
    usage.permit(call, asked or call.project_id)
    return call.project_id


def _parts(period: Period, groups: Sequence[str]) -> Iterator[Period]:
    """The period, cut as ?groupby=time-… says, as far as it has passed."""
    word = next((group for group in groups if group in TIMES), None)
    if word is None:
        yield period
        return
    edges, at = [period.begin], period.begin
    while at < period.until:
        day = datetime.fromtimestamp(at, UTC)
        if word == "time-m": at = month_of(day.year, day.month)[1]
        elif word == "time-y": at = month_of(day.year, 12)[1]
        else: at = (at // DAY + 1) * DAY
        edges.append(min(at, period.end))
    for begin, end in pairwise(edges): yield Period(begin, end, period.now)


def _rows(call: Call, project_id: str | None, period: Period, groups: Sequence[str] = ()) -> list[Row]:
    assert call.db is not None and call.application is not None
    prices = invoice.listed(call, str(call.application.config.currency))
    found: list[Row] = []
    for part in _parts(period, groups):
        apart: dict[str, list[Any]] = {}
        for one in usage.intervals(call.db, project_id, part): apart.setdefault(one.project_id, []).append(one)
        found += [(project, part, line) for project, some in sorted(apart.items()) for line in bill.lines_of(some, prices)]
    return found


def _value(row: Row, name: str) -> str:
    project, _, line = row
    fixed = {"type": f"{line.kind}.{line.unit}", "project_id": project, "tenant_id": project, "id": line.resource_id, "name": line.name,
             "res_type": f"{line.kind}.{line.unit}"}
    return fixed.get(name, line.attributes.get(name, ""))


def _grouped(rows: Sequence[Row], groups: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    apart: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows: apart.setdefault((row[1].begin, row[1].end, *(_value(row, name) for name in groups)), []).append(row)
    return apart


def _cost(rows: Sequence[Row]) -> Decimal:
    return sum((row[2].cost for row in rows), Decimal(0))


def _page(call: Call) -> tuple[int, int]:
    try: offset, limit = int(_one(call, "offset") or 0), int(_one(call, "limit") or 100)
    except ValueError: raise Invalid("offset and limit are numbers.") from None
    if offset < 0 or limit <= 0: raise Invalid("offset and limit must not be negative.")
    return offset, min(limit, 1000)


def _filters(call: Call) -> dict[str, str]:
    pairs = [part.partition(":")[::2] for part in (_one(call, "filters") or "").split(",") if part]
    if unknown := [name for name, _ in pairs if name not in GROUPS]: raise Invalid(f"Unknown filter {unknown[0][:40]}.")
    return dict(pairs)


def summary(call: Call) -> dict[str, Any]:
    """GET /v2/summary"""
    groups = [word for word in (_one(call, "groupby") or "").split(",") if word]
    for word in groups:
        if word not in (*GROUPS, *TIMES): raise Invalid(f"Cannot group by {word[:40]}; by {', '.join((*GROUPS, *TIMES))}.")
    filters, (offset, limit) = _filters(call), _page(call)
    rows = _rows(call, _project(call, filters.get("project_id"), every=True), _period(call), groups)
    rows = [row for row in rows if all(_value(row, name) == value for name, value in filters.items())]
    names = [word for word in groups if word in GROUPS]
    found = [[clock.iso(key[0]), clock.iso(key[1]), float(sum(row[2].unit_hours for row in some)), float(_cost(some)), *key[2:]]
             for key, some in _grouped(rows, names).items()]
    columns, results = ["begin", "end", "qty", "rate", *names], found[offset:offset + limit]
    if _one(call, "response_format") == "object":
        return {"total": len(found), "results": [dict(zip(columns, row, strict=True)) for row in results]}
    return {"total": len(found), "columns": columns, "results": results}


def dataframes(call: Call) -> dict[str, Any]:
    """GET /v2/dataframes"""
    filters, (offset, limit) = _filters(call), _page(call)
    rows = _rows(call, _project(call, filters.get("project_id"), every=True), _period(call))
    rows = [row for row in rows if all(_value(row, name) == value for name, value in filters.items())]
    if not rows: return {"total": 0, "dataframes": []}
    frames = [{"usage": {_value(row, "type"): [_point(row)]}, "period": _span(row[2])} for row in rows[offset:offset + limit]]
    return {"total": len(rows), "dataframes": frames}


def _span(line: bill.Line) -> dict[str, str]:
    return {"begin": clock.iso(line.begin), "end": clock.iso(line.end)}


def _point(row: Row) -> dict[str, Any]:
    project, _, line = row
    return {"vol": {"unit": line.unit, "qty": float(line.unit_hours)}, "rating": {"price": float(line.cost)},
            "groupby": {"id": line.resource_id, "project_id": project}, "metadata": {"name": line.name, **line.attributes}}


def storage(call: Call) -> dict[str, Any]:
    """GET /v1/storage/dataframes"""
    rows = _rows(call, _project(call, _one(call, "tenant_id", "project_id"), every=True), _period(call))
    wanted = _one(call, "resource_type")
    return {"dataframes": [{"tenant_id": row[0], **_span(row[2]), "resources": [{
        "service": _value(row, "type"), "desc": {"id": row[2].resource_id, "name": row[2].name, **row[2].attributes},
        "volume": str(row[2].unit_hours), "rating": str(row[2].cost)}]} for row in rows if wanted in (None, _value(row, "type"))]}


def _all_tenants(call: Call) -> bool:
    return (_one(call, "all_tenants") or "").lower() in ("1", "true", "yes")


def report(call: Call) -> dict[str, Any]:
    """GET /v1/report/summary"""
    period = _period(call)
    groups = [word for word in (_one(call, "groupby") or "").split(",") if word]
    if set(groups) - {"res_type", "tenant_id"}: raise Invalid("Group by res_type or tenant_id.")
    rows = _rows(call, _project(call, _one(call, "tenant_id"), every=_all_tenants(call)), period)
    wanted = _one(call, "service")
    rows = [row for row in rows if wanted in (None, _value(row, "type"))]
    found = [{"begin": clock.iso(key[0]), "end": clock.iso(key[1]), "rate": str(_cost(some)), "tenant_id": "ALL", "res_type": "ALL",
              **dict(zip(groups, key[2:], strict=True))} for key, some in _grouped(rows, groups).items()]
    return {"summary": found}


def total(call: Call) -> str:
    """GET /v1/report/total"""
    return str(_cost(_rows(call, _project(call, _one(call, "tenant_id"), every=_all_tenants(call)), _period(call))))


RULES = {name: Rule("@") for name in ("summary:get_summary", "dataframes:get", "storage:list_data_frames", "report:get_summary",
                                      "report:get_total")}
"""Whose bill it may be is checked with the project that is asked for."""
ROUTES = [
    Route("/v2/summary", "GET", summary, "summary:get_summary", transaction="read"),
    Route("/v2/dataframes", "GET", dataframes, "dataframes:get", transaction="read"),
    Route("/v1/storage/dataframes", "GET", storage, "storage:list_data_frames", transaction="read"),
    Route("/v1/report/summary", "GET", report, "report:get_summary", transaction="read"),
    Route("/v1/report/total", "GET", total, "report:get_total", transaction="read"),
]
