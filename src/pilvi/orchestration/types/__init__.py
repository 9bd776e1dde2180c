"""Resource types: {name in a template: where its class is}. A class is loaded when a template first uses it."""
from __future__ import annotations

from functools import lru_cache

from pilvi.core.drivers import Drivers
from pilvi.orchestration.types.cinder import CINDER
from pilvi.orchestration.types.heat import HEAT
from pilvi.orchestration.types.interface import ResourceType
from pilvi.orchestration.types.keystone import KEYSTONE
from pilvi.orchestration.types.neutron import NEUTRON
from pilvi.orchestration.types.nova import NOVA

TYPES: Drivers[type[ResourceType]] = Drivers({**HEAT, **NOVA, **NEUTRON, **CINDER, **KEYSTONE})


@lru_cache(512)
def type_of(name: str) -> ResourceType:
    """The one instance of a type. Raises KeyError."""
    return TYPES[name]()
