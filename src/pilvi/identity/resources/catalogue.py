"""Regions, services and endpoints: the catalogue that tells clients where everything is.

Source: Identity API v3, "Service catalog and endpoints", "Regions".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, one_of, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.federation import put


class Region(HexIdentified, Base):
    __tablename__ = "identity_regions"
    id: Mapped[str] = field(text(255), key=True, create=OPTIONAL)
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    parent_region_id: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class CatalogueService(HexIdentified, Base):
    __tablename__ = "identity_services"
    type: Mapped[str] = field(text(255), create=REQUIRED, update=True)
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    description: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class Endpoint(HexIdentified, Base):
    __tablename__ = "identity_endpoints"
    service_id: Mapped[str] = field(text(64), create=REQUIRED, update=True, index=True)
    interface: Mapped[str] = field(one_of("public", "internal", "admin"), create=REQUIRED, update=True)
    region_id: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    region: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True)
    url: Mapped[str] = field(text(2048, shortest=1), create=REQUIRED, update=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=True)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def place_region(call: Call, region: Region, values: dict[str, Any]) -> None:
    """Without a wish the id is a random one; the parent must exist, and not be below this one."""
    assert call.db is not None
    region.id = region.id or new_hex_id()
    above = values.get("parent_region_id")
    while above:
        found = call.db.get(Region, above) if above != region.id else None
        if found is None: raise errors.RegionNotFound(id=above)
        above = found.parent_region_id


def remove_region(call: Call, region: Region) -> None:
    """Regions below it go with it; endpoints must be gone. Raises RegionInUse."""
    assert call.db is not None
    gone, below = [region.id], [region.id]
    while below:
        below = list(call.db.scalars(select(Region.id).where(Region.parent_region_id.in_(below))))
        gone += below
    if call.db.execute(select(Endpoint.id).where(Endpoint.region_id.in_(gone))).first(): raise errors.RegionInUse(id=region.id)
    call.db.execute(delete(Region).where(Region.id.in_(gone[1:])))


def place(call: Call, endpoint: Endpoint, values: dict[str, Any]) -> None:
    """The service must exist, and a `region_id`; a `region` that does not is made, as Keystone does."""
    assert call.db is not None
    service_id = values.get("service_id", endpoint.service_id)
    if call.db.get(CatalogueService, service_id) is None: raise errors.ServiceUnknown(id=service_id)
    if filled(values.get("url", endpoint.url), "p", "u") is None: raise errors.UrlInvalid(url=values.get("url", endpoint.url))
    region = values.get("region_id") or values.get("region")
    if region is None: return
    if call.db.get(Region, region) is None:
        if values.get("region_id"): raise errors.RegionUnknown(id=region)
        call.db.add(Region(id=region))
        call.db.flush()
    endpoint.region_id = endpoint.region = values["region_id"] = values["region"] = region


def remove_service(call: Call, service: CatalogueService) -> None:
    """Its endpoints go with it."""
    assert call.db is not None
    call.db.execute(delete(Endpoint).where(Endpoint.service_id == service.id))


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for row, body in zip(rows, bodies, strict=True): body.update(row.extra or {})


_SERVICES, _ENDPOINTS = CatalogueService.__table__.c, Endpoint.__table__.c
SERVICES = select(_SERVICES.id, _SERVICES.type, _SERVICES.name).where(_SERVICES.enabled).order_by(_SERVICES.type)
ENDPOINTS = select(_ENDPOINTS.id, _ENDPOINTS.service_id, _ENDPOINTS.interface, _ENDPOINTS.region_id, _ENDPOINTS.url).where(
    _ENDPOINTS.enabled).order_by(_ENDPOINTS.interface)


def catalogue(db: Session, project_id: str | None, user_id: str, only: set[str] | None = None) -> list[dict[str, Any]]:
    """The catalogue of a token: enabled endpoints (of `only`, if given); those that need a project are left out without one."""
    services: dict[str, dict[str, Any]] = {}
    for id, kind, name in db.execute(SERVICES): services[id] = {"id": id, "type": kind, "name": name, "endpoints": []}
    for id, service_id, interface, region_id, template in db.execute(ENDPOINTS):
        url = filled(template, project_id, user_id)
        if service_id in services and url is not None and (only is None or id in only):
            services[service_id]["endpoints"].append({
                "id": id, "interface": interface, "region_id": region_id, "region": region_id, "url": url})
    return list(services.values())


def filled(url: str, project_id: str | None, user_id: str) -> str | None:
    """A URL template with its $(…)s or %(…)s filled in; None if it needs a project and there is none."""
    plain = url.replace("$(", "%(")
    if "%(" not in plain: return plain
    if ("%(project_id)s" in plain or "%(tenant_id)s" in plain) and not project_id: return None
    try: return plain % {"project_id": project_id, "tenant_id": project_id, "user_id": user_id}
    except (KeyError, ValueError, TypeError): return None


REGION = Resource(Region, "region", "/v3/regions", KEYSTONE, owner=None, missing=errors.RegionNotFound, on_render=render,
                  on_create=place_region, on_update=place_region, on_delete=remove_region,
                  policy=policies.verbs("region"))
SERVICE = Resource(CatalogueService, "service", "/v3/services", KEYSTONE, owner=None, missing=errors.ServiceNotFound,
                   policy=policies.verbs("service"), on_delete=remove_service, on_render=render, default_sort=[("type", False)])
ENDPOINT = Resource(Endpoint, "endpoint", "/v3/endpoints", KEYSTONE, owner=None, missing=errors.EndpointNotFound,
                    policy=policies.verbs("endpoint"), on_create=place, on_update=place, on_render=render)
ROUTES = [put(REGION)]
