"""OS::Nova::ServerGroup: servers that should share a host, or should not."""
from __future__ import annotations

from typing import Any

from pilvi.orchestration.template.schema import AllowedValues, Length
from pilvi.orchestration.types.interface import SHOW, Work, integer, list_of, map_of, string
from pilvi.orchestration.types.rest import RestResource


class ServerGroup(RestResource):
    """The API takes one policy; templates write it as a list."""
    name = "OS::Nova::ServerGroup"
    description = "Servers that should share a host, or should not: a server joins by the scheduler hint `group`."
    since = "2014.2"
    service = requires_service = "compute"
    path, singular = "/v2.1/os-server-groups", "server_group"
    properties = {
        "name": string("Its name."),
        "policies": list_of(string("", constraints=(AllowedValues(("anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity")),)),
                            "One policy.", default=["anti-affinity"], constraints=(Length(1, 1),), wire=""),
        "rules": map_of({"max_server_per_host": integer("The most on one host, for anti-affinity.")}, "Rules of the policy.",
                        since="17.0.0"),
    }
    attributes = {"show": SHOW}

    def body(self, work: Work) -> dict[str, Any]:
        return {**super().body(work), "policy": work.properties["policies"][0]}
