"""Resource types: {name in a template: where its class is}. A class is loaded when a template first uses it."""
from __future__ import annotations

from functools import lru_cache

from pilvi.core.drivers import Drivers
from pilvi.core.http.client import TRANSPORTS
from pilvi.orchestration.types.aodh import AODH
from pilvi.orchestration.types.aws import AWS
from pilvi.orchestration.types.cinder import CINDER
from pilvi.orchestration.types.heat import HEAT
from pilvi.orchestration.types.interface import ResourceType
from pilvi.orchestration.types.keystone import KEYSTONE
from pilvi.orchestration.types.neutron import NEUTRON
from pilvi.orchestration.types.nova import NOVA
from pilvi.orchestration.types.swift import SWIFT
from pilvi.orchestration.types.unavailable import UNAVAILABLE

TYPES: Drivers[type[ResourceType]] = Drivers({**HEAT, **NOVA, **NEUTRON, **CINDER, **KEYSTONE, **SWIFT, **AODH, **AWS, **UNAVAILABLE})


@lru_cache(512)
def type_of(name: str) -> ResourceType:
    """The one instance of a type. Raises KeyError."""
    return TYPES[name]()


def offered(kind: ResourceType) -> bool:
    """Is the service there that the type needs?"""
    return not kind.requires_service or kind.requires_service in TRANSPORTS
