"""The manifest of the dashboard. It is in no catalogue: it is a client of the services, not one of them."""
from __future__ import annotations

from typing import Any

from pilvi.core.dialect import KEYSTONE
from pilvi.core.http.app import Request
from pilvi.core.service import Service
from pilvi.dashboard import events, pages, proxy, session


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """What `GET /` would say; the page's own route answers there."""
    return 200, {"versions": []}


SERVICE = Service(
    name="dashboard", types=("dashboard",), path="", dialect=KEYSTONE, versions=versions, catalogued=False, tables=[session.SessionRow],
    start=events.start, cors=None,
    routes=[*session.ROUTES, *events.ROUTES, *proxy.ROUTES, *pages.ROUTES], subscriptions=events.SUBSCRIPTIONS)
