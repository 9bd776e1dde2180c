"""The failures of placement."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Invalid, NotFound


class ProviderNotFound(NotFound):
    """No resource provider with uuid {id} found"""


class ProviderGone(NotFound):
    """No resource provider with uuid {id} found for delete"""


class ProviderUnknown(Invalid):
    """Allocation for resource provider '{id}' that does not exist."""


class ProviderTaken(Conflict):
    """Conflicting resource provider {what}: {value} already exists."""
    code = "placement.duplicate_name"


class ProviderInUse(Conflict):
    """Unable to delete resource provider {id}: Resource provider has allocations."""
    code = "placement.resource_provider.inuse"


class ProviderHasChildren(Conflict):
    """Unable to delete parent resource provider {id}: It has child resource providers."""
    code = "placement.resource_provider.cannot_delete_parent"


class ReshapeUnknown(Invalid):
    """Resource provider {id} in inventories not found: No resource provider with uuid {id} found."""
    code = "placement.resource_provider.not_found"


class ParentInvalid(Invalid):
    """Unable to {act} resource provider "{name}", {id}: {reason}"""


class GenerationConflict(Conflict):
    """resource provider generation conflict (actual: {actual}, given: {given}): \
Resource provider's generation already changed. Please update the generation and try again."""
    code = "placement.concurrent_update"


class InventoryInUse(Conflict):
    """Inventory for '{classes}' on resource provider '{id}' in use."""
    code = "placement.inventory.inuse"


class InventoryTaken(Conflict):
    """Update conflict: resource provider {id} has an inventory of {resource_class} already."""


class InventoryNotFound(NotFound):
    """No inventory of class {resource_class} for {id}"""


class InventoryGone(NotFound):
    """No inventory of class {resource_class} found for delete on resource provider {id}"""


class InventoryAbsent(Invalid):
    """No inventory record with resource class {resource_class} for resource provider {id}"""


class InventoryInvalid(Invalid):
    """Unable to {act} inventory for resource provider {id}: {reason}"""


class InventoryExceeded(Conflict):
    """Unable to allocate inventory: Unable to create allocation for '{resource_class}' on resource provider '{id}'. {reason}"""


class InventoryMissing(Conflict):
    """Unable to allocate inventory: Inventory for '{resource_class}' on resource provider '{id}' invalid."""


class ConsumerConflict(Conflict):
    """consumer generation conflict - expected {actual} but got {given}"""
    code = "placement.concurrent_update"


class ConsumerMalformed(Invalid):
    """Malformed consumer_uuid: {id}"""


class AllocationsNotFound(NotFound):
    """No allocations for consumer '{id}'"""


class InventoryClassUnknown(Invalid):
    """Unknown resource class in inventory for resource provider {id}: No such resource class {names}."""


class AllocationClassUnknown(Invalid):
    """Unable to allocate inventory for consumer {id}: No such resource class {names}."""


class ClassUnknown(Invalid):
    """No such resource class {names}."""


class ClassNotFound(NotFound):
    """No such resource class: {name}"""


class ClassTaken(Conflict):
    """Conflicting resource class already exists: {name}"""


class ClassNameTaken(Conflict):
    """Resource class already exists: {name}"""


class ClassStandard(Invalid):
    """Cannot {act} standard resource class {name}."""


class ClassInUse(Conflict):
    """Error in delete resource class: {name}: Class is in use in inventory."""


class TraitNotFound(NotFound):
    """No such trait(s): {name}."""


class TraitUnknown(Invalid):
    """No such trait(s): {names}."""


class TraitStandard(Invalid):
    """Cannot delete standard trait {name}."""


class TraitInUse(Conflict):
    """The trait {name} is in use by a resource provider."""


class QueryInvalid(Invalid):
    """Invalid query string parameters: {reason}"""


class QueryBadValue(Invalid):
    """{reason}"""
    code = "placement.query.bad_value"


class QueryMissing(Invalid):
    """{reason}"""
    code = "placement.query.missing_value"


class QueryTwice(Invalid):
    """Query parameter '{name}' may be specified only once."""
    code = "placement.query.duplicate_key"


class BodyWrong(Invalid):
    """{reason}"""
