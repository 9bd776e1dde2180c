"""Aggregates kept for certain images: metadata named like an image property.

Source: nova, AggregateImagePropertiesIsolation: an image that says nothing about the property may run there.
"""
from __future__ import annotations

from collections.abc import Sequence

from pilvi.compute.scheduler.aggregates import metadata
from pilvi.compute.scheduler.types import Host, Request


def aggregate_image_properties_isolation(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must not be in aggregates whose metadata are kept for images with other properties."""
    properties = {key: value for key, value in request.image_properties.items() if value}
    if not properties: return hosts
    return [host for host in hosts
            if not host.aggregates or all(not (kept := metadata(host, key)) or value in kept for key, value in properties.items())]
