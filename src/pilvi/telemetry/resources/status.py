"""What the metric API is and can: version, capabilities, status.

Source: Gnocchi REST API, "Capabilities", "Status".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.policy import Rule
from pilvi.telemetry.archive import METHODS

NOUNS = ("aggregates", "aggregation", "archive_policy", "archive_policy_rule", "batch", "capabilities", "metric", "prometheus", "resource",
         "resource_type", "search", "status")


def show_version(call: Call) -> Any:
    """GET /v1"""
    base = call.url("/v1")
    return {"version": "1.0", "links": [{"rel": "self", "href": base}, *({"rel": noun, "href": f"{base}/{noun}"} for noun in NOUNS)]}


def show_capabilities(call: Call) -> Any:
    """GET /v1/capabilities"""
    return {"aggregation_methods": sorted(METHODS)}


def show_status(call: Call) -> Any:
    """GET /v1/status: nothing ever waits to be processed, since samples are merged as they arrive"""
    assert call.request is not None
    storage: dict[str, Any] = {"summary": {"metrics": 0, "measures": 0}}
    if call.request.one("details") not in ("false", "False", "0"): storage["measures_to_process"] = {}
    return {"storage": storage, "metricd": {"processors": [], "statistics": {}}}


RULES = {"get capabilities": Rule("@")}
ROUTES = [
    Route("/v1", "GET", show_version, ANYONE), Route("/v1/capabilities", "GET", show_capabilities, "get capabilities"),
    Route("/v1/status", "GET", show_status, "get status"),
]
