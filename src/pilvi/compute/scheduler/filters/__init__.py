"""What a host must meet, in the order of asking: what is cheap and refuses many comes first. One function a file, and this list."""
from __future__ import annotations

from pilvi.compute.scheduler.filters.aggregate_image_properties_isolation import aggregate_image_properties_isolation
from pilvi.compute.scheduler.filters.aggregate_instance_extra_specs import aggregate_instance_extra_specs
from pilvi.compute.scheduler.filters.availability_zone import availability_zone
from pilvi.compute.scheduler.filters.capacity import capacity
from pilvi.compute.scheduler.filters.compute import compute
from pilvi.compute.scheduler.filters.compute_capabilities import compute_capabilities
from pilvi.compute.scheduler.filters.different_host import different_host
from pilvi.compute.scheduler.filters.image_properties import image_properties
from pilvi.compute.scheduler.filters.io_ops import io_ops
from pilvi.compute.scheduler.filters.not_tried import not_tried
from pilvi.compute.scheduler.filters.num_instances import num_instances
from pilvi.compute.scheduler.filters.requested_host import requested_host
from pilvi.compute.scheduler.filters.required_traits import required_traits
from pilvi.compute.scheduler.filters.same_host import same_host
from pilvi.compute.scheduler.filters.server_group_affinity import server_group_affinity
from pilvi.compute.scheduler.filters.server_group_anti_affinity import server_group_anti_affinity
from pilvi.compute.scheduler.types import Filter

FILTERS: tuple[Filter, ...] = (
    requested_host, not_tried, same_host, different_host, server_group_affinity, compute, availability_zone, capacity,
    server_group_anti_affinity, num_instances, io_ops, required_traits, image_properties, compute_capabilities,
    aggregate_instance_extra_specs, aggregate_image_properties_isolation)
