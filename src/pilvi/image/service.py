"""The manifest of image."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from pilvi.core.context import Call
from pilvi.core.dialect import GLANCE
from pilvi.core.drivers import choose
from pilvi.core.http import cors
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.service import Loop, Service
from pilvi.image.config import Config
from pilvi.image.drivers import STORES
from pilvi.image.image import actions, download, patch, upload
from pilvi.image.image.intake import options_of
from pilvi.image.resources import image, info, member, schema
from pilvi.image.resources.sharing import Member

MINORS = (9, 7, 6, 5, 4, 3, 2, 1, 0)
"""The minor versions a Glance with one store lists; 2.8 and those above 2.9 stand for several stores and the cache."""


def document(base: str) -> dict[str, Any]:
    """The version document."""
    return {"versions": [{"id": f"v2.{minor}", "status": "CURRENT" if minor == MINORS[0] else "SUPPORTED",
                          "links": [{"rel": "self", "href": base + "/v2/"}]} for minor in MINORS]}


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /: 300, as Glance answers."""
    return 300, document(request.base)


def show_versions(call: Call) -> Response:
    """GET /versions and /v2"""
    assert call.request is not None
    return Response(200, document(call.request.base))


def start(application: Application) -> None:
    """Opens the store."""
    directory: Path = application.state["image_directory"]
    application.state["image_store"] = choose("image", STORES, options_of(application).store)(directory)
    actions.free_abandoned(application)


PAGES = cors.Headers(("Content-MD5", "X-Image-Meta-Checksum", "X-Storage-Token", "Accept-Encoding", *cors.USUAL.allowed),
                     ("X-Image-Meta-Checksum", *cors.USUAL.exposed))
PARTS = (image, member, schema, info, patch, upload, download, actions)
SERVICE = Service(
    name="image", types=("image",), path="", dialect=GLANCE, versions=versions, config=Config, start=start, cors=PAGES,
    resources=[image.RESOURCE], tables=[Member], rules=member.RULES | schema.RULES | info.RULES | actions.RULES,
    routes=[Route("/versions", "GET", show_versions, ANYONE), Route("/v2", "GET", show_versions, ANYONE),
            *(route for part in PARTS for route in part.ROUTES)],
    loops=[Loop("give abandoned uploads up", 30, actions.free_abandoned), Loop("sweep image bytes", 600, actions.sweep)])
