"""OS::Keystone::Service, Endpoint and Region: what clients find where."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.interface import SHOW, Work, boolean, string
from pilvi.orchestration.types.keystone.resource import ENABLED, NAME, IdentityResource


class Service(IdentityResource):
    """An entry of the catalogue."""
    name = "OS::Keystone::Service"
    description = "A service in the catalogue."
    since = "5.0.0"
    path, singular = "/v3/services", "service"
    properties = {"name": NAME, "description": string("What it is for.", update=True),
                  "type": string("Its type, by which clients look for it.", required=True, update=True), "enabled": ENABLED}
    attributes = {"show": SHOW}


class Endpoint(IdentityResource):
    """An address of a service."""
    name = "OS::Keystone::Endpoint"
    description = "An address of a service in the catalogue."
    since = "5.0.0"
    path, singular = "/v3/endpoints", "endpoint"
    properties = {
        "name": NAME,
        "region": string("The region it is in.", update=True, wire="region_id", refers="keystone.region"),
        "service": string("The service.", required=True, update=True, wire="service_id", refers="keystone.service"),
        "interface": string("Who it is for.", required=True, update=True, constraints=(AllowedValues(("public", "internal", "admin")),)),
        "url": string("The address.", required=True, update=True),
        "enabled": ENABLED,
    }
    attributes = {"show": SHOW}

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("identity", "GET", self.path, service_id=body["service_id"], interface=body["interface"])["endpoints"]
        same = [one for one in found if one["url"] == body["url"] and one.get("name") == body["name"]]
        return next((one for one in same if not work.engine or not work.engine.known(one["id"])), None)


class Region(IdentityResource):
    """Its id is its name."""
    name = "OS::Keystone::Region"
    description = "A region of the catalogue."
    since = "6.0.0"
    path, singular, named = "/v3/regions", "region", False
    properties = {
        "id": string("Its id; not given: one is made."),
        "parent_region": string("The region it lies in.", update=True, wire="parent_region_id", refers="keystone.region"),
        "description": string("What it is for.", update=True),
        "enabled": boolean("Is it in use?", default=True, update=True),
    }
    attributes = {"show": SHOW}

    def body(self, work: Work) -> dict[str, Any]:
        return {"id": work.physical_name, **super().body(work)}

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("identity", "GET", self.path)["regions"]
        return next((one for one in found if one["id"] == body["id"] and not (work.engine and work.engine.known(one["id"]))), None)
