"""The manifest of placement."""
from __future__ import annotations

from typing import Any

from pilvi.core.dialect import PLACEMENT
from pilvi.core.http.app import Application, Request
from pilvi.core.microversion import Microversions, dotted
from pilvi.core.service import Service
from pilvi.placement.resources import (
    aggregate,
    allocation,
    candidate,
    consumer,
    gate,
    host,
    inventory,
    provider,
    reshape,
    resource_class,
    trait,
    usage,
)

LEAST, MOST = (1, 0), (1, 39)
MICROVERSIONS = Microversions(("placement",), LEAST, MOST)


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /, which is under microversions like the rest."""
    MICROVERSIONS.negotiate(request.headers)
    return 200, {"versions": [{"id": "v1.0", "min_version": dotted(LEAST), "max_version": dotted(MOST), "status": "CURRENT",
                               "links": [{"rel": "self", "href": ""}]}]}


def start(application: Application) -> None:
    """Makes the counter's row and an empty snapshot."""
    gate.prepare(application)
    candidate.keep(application)


PARTS = (provider, inventory, resource_class, trait, aggregate, allocation, usage, candidate, host, reshape)
SERVICE = Service(
    name="placement", types=("placement",), path="", dialect=PLACEMENT, versions=versions, start=start,
    microversions=MICROVERSIONS,
    tables=[gate.Counter, provider.Provider, inventory.Inventory, resource_class.CustomClass, trait.CustomTrait, consumer.Consumer,
            consumer.Allocation],
    routes=[route for part in PARTS for route in part.ROUTES], rules={name: rule for part in PARTS for name, rule in part.RULES.items()})
