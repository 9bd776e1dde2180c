"""The manifest of the dashboard. It is in no catalogue: it is a client of the services, not one of them."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from pilvi.core.dialect import KEYSTONE, Body
from pilvi.core.errors import Failure
from pilvi.core.http.app import Request
from pilvi.core.service import Service
from pilvi.dashboard import events, pages, proxy, session, single_sign_on


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """What `GET /` would say; the page's own route answers there."""
    return 200, {"versions": []}


def _error(failure: Failure, status: int, request_id: str) -> Body:
    """`reason` is a word of errors.py for the page, which says it in the reader's language."""
    told = KEYSTONE.error(failure, status, request_id)
    return {"error": told["error"] | {"reason": failure.code}}


SERVICE = Service(
    name="dashboard", types=("dashboard",), path="", dialect=replace(KEYSTONE, error=_error), versions=versions, catalogued=False,
    tables=[session.SessionRow, single_sign_on.UsedToken],
    start=events.start, cors=None,
    routes=[*session.ROUTES, *single_sign_on.ROUTES, *events.ROUTES, *proxy.ROUTES, *pages.ROUTES], subscriptions=events.SUBSCRIPTIONS)
