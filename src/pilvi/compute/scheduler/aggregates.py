"""What a host's aggregates say about it."""
from __future__ import annotations

from pilvi.compute.scheduler.types import Host


def metadata(host: Host, key: str) -> set[str]:
    """The values of that key over all its aggregates; a value may list several, with commas."""
    return {value.strip() for aggregate in host.aggregates if key in aggregate.metadata for value in aggregate.metadata[key].split(",")}


def below_limit(host: Host, key: str, figure: int) -> bool:
    """Whether the figure is below the lowest limit its aggregates set; what is no number sets none."""
    return all(figure < int(limit) for limit in metadata(host, key) if limit.isdecimal())
