"""What the network service's resource types have in common: tags, more request fields, and what one waits for though nothing says so."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.orchestration.types.interface import Property, Work, list_of, map_of, string
from pilvi.orchestration.types.rest import RestResource

Resources = Mapping[str, tuple[str, Mapping[str, Any]]]
"""{name: (type, properties as the template writes them)}"""

TAGS = list_of(string(), "Words to find it by.", update=True, wire="", since="9.0.0")
VALUE_SPECS = map_of(None, "More fields for the API's request, as they are.", default={}, update=True, wire="")
TENANT = string("The project that is to own it, for administrators.")
ADMIN_STATE = {"admin_state_up": Property("boolean", "Is it to be switched on?", default=True, update=True)}


class NetworkResource(RestResource):
    """One thing of the network service. `tags` and `value_specs` work for the types that have them."""
    service = requires_service = "network"

    def body(self, work: Work) -> dict[str, Any]:
        return super().body(work) | (work.properties.get("value_specs") or {})

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        return super().change(work, changes) | (changes.get("value_specs") or {})

    def create(self, work: Work) -> None:
        super().create(work)
        if work.properties.get("tags"): self._tag(work, work.properties["tags"])

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        super().update(work, changes)
        if "tags" in changes: self._tag(work, changes["tags"] or [])

    def _tag(self, work: Work, tags: list[str]) -> None:
        work.ask("network", "PUT", f"{self.item(work)}/tags", {"tags": tags})


def same(one: Any, other: Any) -> bool:
    """Do two values of a template mean the same thing, as far as can be told before they are known?"""
    return one is not None and other is not None and _named(one) == _named(other)


def _named(value: Any) -> Any:
    """The resource that a get_resource or get_attr speaks of, else the value."""
    if isinstance(value, Mapping) and len(value) == 1:
        (function, argument), = value.items()
        if function in ("get_resource", "Ref") and isinstance(argument, str): return ("resource", argument)
        if function in ("get_attr", "Fn::GetAtt") and isinstance(argument, list) and argument: return ("resource", argument[0])
    return value


def given(properties: Mapping[str, Any], *names: str) -> Any:
    """The first of the properties that the template gives."""
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def subnets_on(resources: Resources, network: Any) -> Iterable[str]:
    """The subnets of the template that lie on the network: an address can only come from them once they are there."""
    return [name for name, (kind, properties) in resources.items()
            if kind == "OS::Neutron::Subnet" and same(given(properties, "network", "network_id"), network)]
