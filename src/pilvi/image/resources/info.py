"""What this image service can do: import methods; that there is one store.

Source: Image service API v2, "Image service info discovery".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.image import errors
from pilvi.image.resources.image import IMPORT_METHODS

RULES = {"get_info": Rule("@")}


def show_import(call: Call) -> dict[str, Any]:
    """GET /v2/info/import"""
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}}


def list_stores(call: Call) -> None:
    """GET /v2/info/stores: how Glance says that it has one store only."""
    raise errors.StoresUnknown()


ROUTES = [
    Route("/v2/info/import", "GET", show_import, "get_info"),
    Route("/v2/info/stores", "GET", list_stores, "get_info"),
]
