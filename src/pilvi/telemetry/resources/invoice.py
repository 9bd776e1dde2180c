"""Bills: of a project, and of all.

Source: Pilvi's own rating API, docs/rating.md, "Invoices". `GET /v1/projects/{id}/invoice`, `GET /v1/invoices`; as JSON, or as
comma-separated text with `?format=csv` or `Accept: text/csv`.
"""
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry.rating import bill
from pilvi.telemetry.rating.period import Period
from pilvi.telemetry.rating.price import Price, of_list
from pilvi.telemetry.rating.usage import Interval
from pilvi.telemetry.resources import price, usage


def _currency(call: Call) -> str:
    assert call.application is not None and call.request is not None
    currency = call.request.one("currency") or str(call.application.config.currency)
    if not (len(currency) == 3 and currency.isalpha() and currency.isupper()): raise Invalid("A currency is three capital letters.")
    return currency


def _wants_csv(call: Call) -> bool:
    assert call.request is not None
    form = call.request.one("format")
    if form not in (None, "json", "csv"): raise Invalid("The formats are json and csv.")
    return form == "csv" or (form is None and call.request.headers.get("accept", "").startswith("text/csv"))


def listed(call: Call, currency: str) -> list[Price]:
    """The rows of the price list that count in this currency."""
    assert call.application is not None and call.db is not None
    return of_list(price.prices(call.db), currency, call.application.region)


def _decimal(value: Decimal | None) -> str | None:
    if value is None: return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(line: bill.Line, currency: str) -> dict[str, Any]:
    """A line as the API shows it; amounts are text, so that they stay exact."""
    return {"kind": line.kind, "resource_id": line.resource_id, "name": line.name, "attributes": line.attributes,
            "begin": clock.iso(line.begin, fraction=True), "end": clock.iso(line.end, fraction=True), "seconds": _decimal(line.seconds),
            "unit": line.unit, "quantity": line.quantity, "unit_hours": _decimal(line.unit_hours), "price": _decimal(line.price),
            "currency": currency, "cost": str(line.cost)}


def _sums(lines: Sequence[bill.Line]) -> dict[str, Any]:
    return {"total": str(bill.total(lines)), "totals": {kind: str(amount) for kind, amount in bill.totals(lines).items()}}


def _heading(call: Call, period: Period, currency: str) -> dict[str, Any]:
    assert call.application is not None
    return {"region": call.application.region, "currency": currency, "begin": clock.iso(period.begin, fraction=True),
            "end": clock.iso(period.end, fraction=True), "until": clock.iso(period.until, fraction=True), "complete": period.complete}


def show_invoice(call: Call, project_id: str) -> Any:
    """GET /v1/projects/{id}/invoice"""
    assert call.db is not None
    usage.permit(call, project_id)
    period, currency, as_csv = usage.asked_period(call), _currency(call), _wants_csv(call)
    lines = bill.lines_of(usage.intervals(call.db, project_id, period), listed(call, currency))
    rows = [shown(line, currency) for line in lines]
    if as_csv:
        name = f"invoice-{project_id[:40]}-{clock.iso(period.begin)[:10]}.csv".replace('"', "")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(200, bill.as_csv(rows).encode(), headers, "text/csv; charset=utf-8")
    return {"invoice": {"project_id": project_id, **_heading(call, period, currency), **_sums(lines), "lines": rows}}


def list_invoices(call: Call) -> dict[str, Any]:
    """GET /v1/invoices: the sums of every project that used anything."""
    assert call.db is not None
    period, currency = usage.asked_period(call), _currency(call)
    counted = listed(call, currency)
    apart: dict[str, list[Interval]] = {}
    for one in usage.intervals(call.db, None, period): apart.setdefault(one.project_id, []).append(one)
    sums = {project: bill.lines_of(some, counted) for project, some in sorted(apart.items())}
    invoices = [{"project_id": project, **_sums(lines)} for project, lines in sums.items()]
    total = sum((bill.total(lines) for lines in sums.values()), Decimal(0)).quantize(bill.CENTS)
    return {"invoices": invoices, **_heading(call, period, currency), "total": str(total)}


RULES = {"rating:list_invoices": Rule("role:admin")}
ROUTES = [
    Route("/v1/projects/{project_id}/invoice", "GET", show_invoice, None, transaction="read"),
    Route("/v1/invoices", "GET", list_invoices, "rating:list_invoices", transaction="read"),
]
