"""From the name or id of a thing to its id: for properties that refer to things, and for custom constraints on parameters.

Source: Template Guide, "Parameter Constraints", "custom_constraint".
"""
from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid, NotFound
from pilvi.core.http.client import send
from pilvi.orchestration.types.interface import HEADERS


@dataclass(frozen=True)
class Finder:
    """Where things of a kind are. `key`: what identifies them; `by`: the query's filter by name; `query`: more of it."""
    service: str
    path: str
    plural: str
    singular: str = ""
    """The envelope of GET path/id; "-": none; empty: the plural without its s."""
    key: str = "id"
    by: str = "name"


FINDERS: dict[str, Finder] = {
    "neutron.network": Finder("network", "/v2.0/networks", "networks"),
    "neutron.subnet": Finder("network", "/v2.0/subnets", "subnets"),
    "neutron.port": Finder("network", "/v2.0/ports", "ports"),
    "neutron.router": Finder("network", "/v2.0/routers", "routers"),
    "neutron.security_group": Finder("network", "/v2.0/security-groups", "security_groups"),
    "neutron.subnetpool": Finder("network", "/v2.0/subnetpools", "subnetpools"),
    "neutron.address_scope": Finder("network", "/v2.0/address-scopes", "address_scopes"),
    "nova.flavor": Finder("compute", "/v2.1/flavors", "flavors", by=""),
    "nova.server": Finder("compute", "/v2.1/servers", "servers"),
    "nova.keypair": Finder("compute", "/v2.1/os-keypairs", "keypairs", key="name", by=""),
    "glance.image": Finder("image", "/v2/images", "images", singular="-"),
    "cinder.volume": Finder("volume", "/v3/volumes", "volumes"),
    "cinder.snapshot": Finder("volume", "/v3/snapshots", "snapshots"),
    "cinder.vtype": Finder("volume", "/v3/types", "volume_types", singular="volume_type", by=""),
    "keystone.project": Finder("identity", "/v3/projects", "projects"),
    "keystone.user": Finder("identity", "/v3/users", "users"),
    "keystone.group": Finder("identity", "/v3/groups", "groups"),
    "keystone.role": Finder("identity", "/v3/roles", "roles"),
    "keystone.domain": Finder("identity", "/v3/domains", "domains"),
    "keystone.region": Finder("identity", "/v3/regions", "regions", by=""),
    "keystone.service": Finder("identity", "/v3/services", "services"),
}
"""{custom constraint: where to look}. Types of other services add theirs here."""


class ThingUnknown(Invalid):
    """The {kind} ({value}) could not be found."""


class NameAmbiguous(Invalid):
    """Multiple {kind}s match the name "{value}", use an id to be more specific."""


def find(call: Call, kind: str, value: str) -> str:
    """The id of the thing. Raises ThingUnknown, NameAmbiguous."""
    finder = FINDERS[kind]
    headers = HEADERS.get(finder.service)
    singular = finder.singular or finder.plural.removesuffix("s")
    with contextlib.suppress(NotFound, Invalid, Forbidden):
        found = send(call, finder.service, "GET", f"{finder.path}/{value}", headers=headers).json()
        return str((found if singular == "-" else found[singular])[finder.key])
    listed: list[dict[str, Any]] = send(call, finder.service, "GET", finder.path, query={finder.by: value} if finder.by else None,
                                        headers=headers).json()[finder.plural]
    things = [one.get(singular, one) for one in listed]
    ids = [str(one[finder.key]) for one in things if one.get("name") == value]
    what = kind.partition(".")[2].replace("_", " ").capitalize()
    if not ids: raise ThingUnknown(kind=what, value=value)
    if len(ids) > 1: raise NameAmbiguous(kind=what, value=value)
    return ids[0]
